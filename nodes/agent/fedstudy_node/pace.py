"""How long to wait before asking the SuperLink again.

Each question costs the SuperLink some milliseconds, so many sites that ask all the time slow down the very rounds they
wait for. Two things keep the questions few. The wait is a share of the time that has passed since the last message: a
message is found late by at most that share of the gap before it, whether rounds follow each other in a tenth of a
second or in ten minutes. And rounds are alike: nothing is asked before most of the time has passed that it took last
time.

Who is told by the portal when a message waits asks by itself only for the case that the word was lost.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

SHORTEST = 0.02
LONGEST_IN_RUN = 0.25
LONGEST_IDLE = 1.0
WOKEN = 3.0
SHARE = 0.15
EARLY = 0.7
_MEMORY = 0.5


@dataclass
class Pace:
    """The rhythm of questions; times are seconds of a monotonic clock."""

    clock: Callable[[], float] = time.monotonic
    _last_event: float = field(init=False)
    _expected: float = 0.0

    def __post_init__(self) -> None:
        self._last_event = self.clock()

    def mark_sent(self) -> None:
        """A reply went out: the next message comes after about the usual while."""
        self._last_event = self.clock()

    def mark_received(self) -> None:
        """A message came: remember how long that took since the last reply."""
        gap = self.clock() - self._last_event
        self._expected = gap if gap < self._expected else _MEMORY * self._expected + (1 - _MEMORY) * gap
        self._last_event = self.clock()

    def delay(self, *, in_run: bool, woken: bool = False) -> float:
        """Seconds to wait before the next question; `woken` when the portal says by itself that a message waits."""
        if woken:
            return WOKEN
        longest = LONGEST_IN_RUN if in_run else LONGEST_IDLE
        passed = self.clock() - self._last_event
        early = EARLY * self._expected - passed if in_run else 0.0
        return min(max(SHORTEST, SHARE * passed, early), longest)
