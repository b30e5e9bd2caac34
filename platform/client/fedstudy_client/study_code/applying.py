"""Bringing the portal to what a study's file describes: look, compare, do what can be done, wait for the sites, again.

Nothing is remembered between two looks, so it does not matter where it was interrupted, or who else changed what.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fedstudy_client.client import FedStudy
from fedstudy_client.following import AWAY
from fedstudy_client.problem import FedStudyProblem, FieldProblem
from fedstudy_client.records import Run
from fedstudy_client.study_code.reading import StudyCode
from fedstudy_client.study_code.running import UNDER_WAY, made_run, run_steps
from fedstudy_client.study_code.standing import Sources, look
from fedstudy_client.study_code.steps import Comparing, Step, raise_problems

EVERY_S, LONGEST_BETWEEN_S = 1.0, 5.0


@dataclass(frozen=True)
class Plan:
    """What is between the file and the portal at one moment."""

    comparing: Comparing
    steps: list[Step]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do or to wait for."""
        return all(step.action == "nothing" for step in self.steps)

    @property
    def waits(self) -> list[Step]:
        """What others have to do, and runs that are under way."""
        return [step for step in self.steps if step.action == "wait"]

    @property
    def under_way(self) -> frozenset[str]:
        """The labels of the runs that are queued or at work."""
        return frozenset(run.label for run in self.runs() if run.state in UNDER_WAY)

    def runs(self) -> list[Run]:
        """The file's runs that the portal has, in the file's order."""
        made = (made_run(self.comparing, planned) for planned in self.comparing.code.described.runs)
        return [run for run in made if run is not None]


@dataclass
class Study:
    """A study's file and its portal.

    Args:
        told: called with every step that was done, as it was planned.
        looked: called with every plan, as long as something is waited for.
    """

    portal: FedStudy
    code: StudyCode
    told: Callable[[Step], None] = lambda step: None
    looked: Callable[[Plan], None] = lambda plan: None
    _sources: Sources = field(init=False)

    def __post_init__(self) -> None:
        self._sources = Sources(self.code, self.portal)

    def plan(self) -> Plan:
        """What is between the file and the portal now. Raises FedStudyProblem where scripts cannot be read."""
        comparing = self._compare()
        draft = comparing.draft_steps()
        return Plan(comparing, [*draft, *comparing.site_steps(), *comparing.script_steps(), *run_steps(comparing)])

    def draft(self) -> Plan:
        """Make the study, its people, protocol and dictionary, and nothing else. Raises FedStudyProblem (E_EXISTS)."""
        plan = self.plan()
        raise_problems(plan.steps)
        if plan.comparing.standing.study is not None:
            detail = "You lead a study of this title already; `fedstudy apply` brings it to what the file says."
            raise FedStudyProblem("E_EXISTS", detail)
        while steps := [step for step in self._compare().draft_steps() if step.do is not None]:
            self._do(steps)
        return self.plan()

    def apply(self, wait_s: float | None = None) -> Plan:
        """Do all that can be done, and wait for the sites and for the runs.

        Args:
            wait_s: seconds after which waiting ends; None for no end.

        Raises:
            FedStudyProblem: E_WAITING with what is still waited for, or what hinders the file from being applied.
        """
        until = None if wait_s is None else time.monotonic() + wait_s
        plan, pause_s = self.plan(), EVERY_S
        while True:
            raise_problems(plan.steps)
            if self._do([step for step in plan.steps if step.do is not None]):
                plan, pause_s = self.plan(), EVERY_S
                continue
            self.looked(plan)
            if plan.is_done:
                return plan
            if not plan.waits:
                raise _cannot_go_on(plan)
            if until is not None and time.monotonic() + pause_s > until:
                raise _still_waiting(plan)
            time.sleep(pause_s)
            plan = self._look_again(plan)
            pause_s = EVERY_S if plan.under_way else min(pause_s * 1.2, LONGEST_BETWEEN_S)

    def _look_again(self, last: Plan) -> Plan:
        """The plan now, or the last one while the portal is away: who waits for days outlasts its restarts."""
        try:
            return self.plan()
        except FedStudyProblem as problem:
            if problem.code not in AWAY:
                raise
            return last

    def _compare(self) -> Comparing:
        self._sources.check()
        return Comparing(self.code, self.portal, self._sources, look(self.portal, self.code, self._sources))

    def _do(self, steps: Sequence[Step]) -> bool:
        """Do steps in their order; returns whether there were any."""
        for step in steps:
            if step.do is not None:
                step.do()
                self.told(step)
        return bool(steps)


def _cannot_go_on(plan: Plan) -> FedStudyProblem:
    """What nobody can do any more, as in a study that is closed."""
    left = tuple(
        FieldProblem(f"{step.part} “{step.name}”", "E_STATE", f"to {step.action}")
        for step in plan.steps
        if step.action != "nothing"
    )
    state = plan.comparing.study().state
    return FedStudyProblem("E_STATE", f"The study is {state}; not all of the file can be done.", errors=left)


def _still_waiting(plan: Plan) -> FedStudyProblem:
    waits = tuple(FieldProblem(f"{step.part} “{step.name}”", "E_WAITING", step.detail) for step in plan.waits)
    detail = "Something is still waited for; the same command goes on."
    return FedStudyProblem("E_WAITING", detail, errors=waits)
