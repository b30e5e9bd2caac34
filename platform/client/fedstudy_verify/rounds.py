"""What the events of runs say of each other: models that follow from models, and executions from approvals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

COMMITTED, APPROVED = b'"action":"runs:round:committed"', b'"action":"scripts:approval:recorded"'
_RUN = re.compile(rb'"object":\{"id":"([^"]*)"')
Told = tuple[int, bool, str, str]  # position, whether a round was committed (or a script approved), object, detail


def told_of(position: int, leaf: bytes, detail: str) -> Told | None:
    """What a shown event says that others must fit to; None for one that says nothing of the kind."""
    if COMMITTED not in leaf and APPROVED not in leaf:
        return None
    found = _RUN.search(leaf)
    return position, COMMITTED in leaf, found[1].decode() if found else "", detail


@dataclass
class Linked:
    """What came out.

    Attributes:
        rounds: committed rounds shown.
        executions: answers of sites in them that name an approval.
        approved: of these, how many whose approval is shown too, before them.
        problems: what does not fit, the first first.
    """

    rounds: int = 0
    executions: int = 0
    approved: int = 0
    problems: list[str] = field(default_factory=list)


def linked(events: Iterable[Told]) -> Linked:
    """Whether each round begins with the model that the one before made, and each execution follows its approval."""
    known = [(position, is_round, of, _facts(detail)) for position, is_round, of, detail in events]
    signed = {str(facts["statement"]): at for at, is_round, _, facts in known if not is_round and "statement" in facts}
    out, models = Linked(), dict[tuple[str, int], str]()
    for position, is_round, run, facts in known:
        if is_round and isinstance(facts.get("round"), int):
            out.rounds += 1
            _chain(position, run, facts, models, out)
            _executions(position, facts, signed, out)
    return out


def _chain(position: int, run: str, facts: Mapping[str, Any], models: dict[tuple[str, int], str], out: Linked) -> None:
    number = int(facts["round"])
    if (run, number) in models:
        out.problems.append(f"Event {position}: round {number} of run {run} was committed before.")
    before, begun = models.get((run, number - 1)), facts.get("model_in")
    if before and begun != before:
        what = f"round {number} of run {run} began with another model than {number - 1} made"
        out.problems.append(f"Event {position}: {what}.")
    models[run, number] = str(facts.get("model_out") or "")


def _executions(position: int, facts: Mapping[str, Any], signed: Mapping[str, int], out: Linked) -> None:
    sites = facts.get("sites")
    for row in sites if isinstance(sites, list) else ():
        if not isinstance(row, dict) or row.get("state") != "done" or "approval" not in row:
            continue
        out.executions += 1
        at = signed.get(str(row["approval"]))
        if at is None:
            continue
        if at > position:
            out.problems.append(f"Event {position}: {row.get('site')} ran before it approved (event {at}).")
        else:
            out.approved += 1


def _facts(detail: str) -> Mapping[str, Any]:
    try:
        value = json.loads(detail)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
