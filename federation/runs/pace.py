"""How often to look for replies: seldom while the sites surely train, often when the answers are due.

A look costs SuperLink and worker some 15 ms of processor time, and so does writing down what it brought. So the first
one comes when most of the time has passed that all answers took last time, and mostly finds several of them.
"""

from __future__ import annotations

import time

from federation.runs.models import Round

FIRST_S, GROWTH, LONGEST_S = 0.03, 1.3, 2.0
EXPECTED_SHARE = 0.8


class Pace:
    """Learns how long each phase takes and spreads the looks over it."""

    def __init__(self) -> None:
        self._usual: dict[str, float] = {}
        self._current: tuple[object, str] | None = None
        self._began = 0.0
        self._pause = FIRST_S

    def next_pause(self, round_: Round, *, moved: bool) -> float:
        """Seconds until the next look.

        Args:
            moved: whether this look sent or received anything.
        """
        now = time.monotonic()
        if self._current != (round_.pk, round_.phase):
            self._current, self._began, self._pause = (round_.pk, round_.phase), now, FIRST_S
            return min(LONGEST_S, max(FIRST_S, EXPECTED_SHARE * self._usual.get(round_.phase, 0.0)))
        if moved:
            self._usual[round_.phase] = now - self._began
            self._pause = FIRST_S
        else:
            self._pause = min(LONGEST_S, self._pause * GROWTH)
        return self._pause
