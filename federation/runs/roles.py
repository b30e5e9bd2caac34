"""The parts that sites have in a run: who trains, who only adds to exact sums, who only tests the model."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fedstudy_core.levels import PHASES_AT

TRAINS, ADDS, TESTS = "trains", "adds", "tests"

# What a site is asked for, the most first.
PHASES_OF: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        TRAINS: frozenset({"query", "train", "evaluate"}),
        ADDS: frozenset({"query", "evaluate"}),
        TESTS: frozenset({"evaluate"}),
    }
)


def role_at(level: str) -> str:
    """The fullest part that a site can have at its level."""
    return next(role for role, phases in PHASES_OF.items() if phases <= PHASES_AT[level])


def is_narrower(role: str, level: str) -> bool:
    """Whether a site's level would allow more than its part in the run."""
    return PHASES_OF[role] < PHASES_OF[role_at(level)]
