"""How large a synthetic portal is."""

from __future__ import annotations

from dataclasses import dataclass

from fedstudy_core.errors import FieldProblem, Invalid


@dataclass(frozen=True)
class Shape:
    """Numbers of rows.

    Attributes:
        rounds: committed rounds over all runs; each asks the study's sites twice.
        events: entries of the audit log.
        sites_per_study: sites invited to each study, as many as there are.
        investigators: of whom the first leads every tenth study, all of them when there is no other.
        auditors: of whom the first audits every study.
        notifications: for each person.
        threads: questions on each script version.
        schedules: of each study.
    """

    studies: int = 1_000
    sites: int = 200
    rounds: int = 100_000
    events: int = 1_000_000
    sites_per_study: int = 4
    versions_per_study: int = 2
    rounds_per_run: int = 50
    investigators: int = 100
    auditors: int = 20
    notifications: int = 50
    threads: int = 2
    schedules: int = 2

    def __post_init__(self) -> None:
        """Raises Invalid E_INVALID for a number that makes no portal."""
        least = {"notifications": 0, "threads": 0, "schedules": 0}
        problems = [
            FieldProblem(name, "E_INVALID", f"There must be at least {least.get(name, 1)}.")
            for name, number in vars(self).items()
            if number < least.get(name, 1)
        ]
        if problems:
            told = " ".join(f"{problem.field}: {problem.detail}" for problem in problems)
            raise Invalid("E_INVALID", told, errors=problems)

    @property
    def sites_asked(self) -> int:
        """Sites that a study invites."""
        return min(self.sites_per_study, self.sites)

    @property
    def runs(self) -> int:
        """Runs that hold the rounds; the last may be shorter."""
        return -(-self.rounds // self.rounds_per_run)
