"""Looking at something again and again until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from fedstudy_client.problem import FedStudyProblem

AWAY = ("E_UNREACHABLE", "E_ANSWER", "E_UNAVAILABLE")
LONGEST_AWAY_S = 900.0


class Ends(Protocol):
    """Something that is final at some time."""

    @property
    def is_final(self) -> bool: ...


Found = TypeVar("Found", bound=Ends)


def follow(
    look: Callable[[], Found],
    *,
    timeout: float,
    every: float,
    progress: Callable[[Found], None] | None,
    late: Callable[[Found], str],
) -> Found:
    """Look until it is final.

    A portal that is away for a while, as when it starts anew, is asked again; only the first look has to succeed.

    Args:
        timeout: seconds after which a problem E_DEADLINE ends this; `late` says what is still to come.
        every: seconds between two looks.
        progress: called with what was found at each look.
    """
    until = time.monotonic() + timeout
    found, seen_at = look(), time.monotonic()
    while True:
        if progress is not None:
            progress(found)
        if found.is_final:
            return found
        if time.monotonic() > until:
            raise FedStudyProblem("E_DEADLINE", late(found))
        time.sleep(every)
        try:
            found, seen_at = look(), time.monotonic()
        except FedStudyProblem as problem:
            if problem.code not in AWAY or time.monotonic() - seen_at > LONGEST_AWAY_S:
                raise
