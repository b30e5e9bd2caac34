"""How long to wait before asking the SuperLink again.

Each question costs the SuperLink some milliseconds, so many sites that ask all the time slow down the very rounds they
wait for. The wait is therefore a share of the time that has passed since the last message: a message is found late by
at most that share of the gap before it, whether rounds follow each other in a tenth of a second or in ten minutes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

SHORTEST = 0.02
LONGEST_IN_RUN = 0.25
LONGEST_IDLE = 1.0
SHARE = 0.15


@dataclass
class Pace:
    """The rhythm of questions; times are seconds of a monotonic clock."""

    clock: Callable[[], float] = time.monotonic
    _last_event: float = field(init=False)

    def __post_init__(self) -> None:
        self._last_event = self.clock()

    def mark(self) -> None:
        """Something was received or sent: ask quickly again."""
        self._last_event = self.clock()

    def delay(self, *, in_run: bool) -> float:
        """Seconds to wait before the next question."""
        longest = LONGEST_IN_RUN if in_run else LONGEST_IDLE
        return min(max(SHORTEST, SHARE * (self.clock() - self._last_event)), longest)
