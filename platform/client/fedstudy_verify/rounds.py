"""What the events of runs say of each other: models that follow from models, and executions from approvals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedstudy_verify.told import APPROVED, COMMITTED, Problem, Told

Facts = Mapping[str, Any]


@dataclass
class Links:
    """Whether each round begins with the model that the one before made, and each execution follows its approval.

    Attributes:
        rounds: committed rounds shown.
        executions: answers of sites in them that name an approval.
        approved: of these, how many whose approval is shown too, before them.
        problems: what does not fit.
    """

    rounds: int = 0
    executions: int = 0
    approved: int = 0
    problems: list[Problem] = field(default_factory=list)
    _models: dict[tuple[str, int], str] = field(default_factory=dict)
    _signed: set[str] = field(default_factory=set)
    _early: dict[str, list[tuple[Told, str]]] = field(default_factory=dict)

    def hear(self, event: Told, facts: Facts) -> None:
        """Take in one event, in their order."""
        if event.action == APPROVED and "statement" in facts:
            self._approved(event, str(facts["statement"]))
        elif event.action == COMMITTED and isinstance(facts.get("round"), int):
            self.rounds += 1
            self._chain(event, facts)
            for row in executed(facts):
                self._executed(event, row)

    def _approved(self, event: Told, name: str) -> None:
        self._signed.add(name)
        for early, site in self._early.pop(name, ()):
            self._fault(early, "executions", f"{site} ran before it approved (event {event.position})")

    def _executed(self, event: Told, row: Facts) -> None:
        self.executions += 1
        name = str(row["approval"])
        if name in self._signed:
            self.approved += 1
        else:
            self._early.setdefault(name, []).append((event._replace(detail=""), str(row.get("site"))))

    def _chain(self, event: Told, facts: Facts) -> None:
        number, run = int(facts["round"]), event.object
        if (run, number) in self._models:
            self._fault(event, "rounds", f"round {number} of run {run} was committed before")
        before, begun = self._models.get((run, number - 1)), facts.get("model_in")
        if before and begun != before:
            what = f"round {number} of run {run} began with another model than {number - 1} made"
            self._fault(event, "rounds", what)
        self._models[run, number] = str(facts.get("model_out") or "")

    def _fault(self, event: Told, subject: str, what: str) -> None:
        self.problems.append(Problem(event.line, event.position, subject, f"Event {event.position}: {what}."))


def executed(facts: Facts) -> list[Facts]:
    """A round's answers of sites that name an approval."""
    sites = facts.get("sites")
    rows = sites if isinstance(sites, list) else []
    return [row for row in rows if isinstance(row, dict) and row.get("state") == "done" and "approval" in row]
