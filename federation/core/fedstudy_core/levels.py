"""Levels of participation: what a site lets itself be asked for at each. The one table, for the portal and for nodes.

At F3 and F4 training rows lie at the pool node, which trains on them and adds them to sums: the site's own node only
tests, so that no row counts twice. The rows that a model is tested on never leave: every degree is tested on the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Phase = Literal["query", "train", "evaluate"]

PHASES: tuple[Phase, ...] = ("query", "train", "evaluate")
PHASES_AT: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "F0": frozenset({"evaluate"}),
        "F1": frozenset({"query", "evaluate"}),
        "F2": frozenset(PHASES),
        "F3": frozenset({"evaluate"}),
        "F4": frozenset({"evaluate"}),
    }
)
DOES: Mapping[str, str] = MappingProxyType(
    {"query": "adding to exact sums", "train": "training", "evaluate": "testing models"}
)


def allows(level: str, phase: str) -> bool:
    """Whether a site at that level may be asked in a phase; one that is not known allows nothing."""
    return phase in PHASES_AT.get(level, frozenset())


def phases_at(level: str) -> list[Phase]:
    """The phases of a level in their order."""
    return [phase for phase in PHASES if allows(level, phase)]


def given_up(old: str, new: str) -> list[Phase]:
    """What a site is not asked for any more, once its level changes from one to the other."""
    return [phase for phase in PHASES if allows(old, phase) and not allows(new, phase)]
