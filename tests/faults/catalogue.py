"""The faults that are made, each with what must come of it. The modules of `acts` fill it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.theatre import Theatre

Act = Callable[[Theatre, bool], str]


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        id: as in docs/reliability.md; what stands behind a dash tells faults of one kind apart.
        act: makes it, says what was observed, and raises Missed when that is not what was expected. It is told
            whether to be short.
        short: whether it belongs to the short version.
        alone: whether it needs no stage, so that there is no run to check; it is made while the stage is set up.
    """

    id: str
    name: str
    expected: str
    act: Act
    short: bool
    alone: bool


FAULTS: list[Fault] = []


def fault(id_: str, name: str, *, expected: str, short: bool = False, alone: bool = False) -> Callable[[Act], Act]:
    """Enter a fault into the catalogue."""

    def enter(act: Act) -> Act:
        FAULTS.append(Fault(id_, name, expected, act, short, alone))
        return act

    return enter
