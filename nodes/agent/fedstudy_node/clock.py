"""The portal's time, as far as this node's own clock may be corrected by it.

Flower refuses a node whose clock is 5 s ahead, and hospital clocks drift. Each answer of the portal carries its time;
requests to the SuperLink are signed with that. The portal may move this node's sense of time by ten minutes and no
more, and only there: how long an approval is good for is judged by the node's own clock.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

LARGEST_CORRECTION = timedelta(minutes=10)
WARN_BEYOND_S = 2
_HALF_A_SECOND = timedelta(seconds=0.5)  # the portal's answers name whole seconds


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Clock:
    """This node's clock, corrected by the portal's. May be used from any thread.

    `local` is the machine's clock, which people may set; `steady` only runs forward, in seconds.
    """

    def __init__(self, local: Callable[[], datetime] = _utc_now, steady: Callable[[], float] = time.monotonic) -> None:
        self._local = local
        self._steady = steady
        self._lock = threading.Lock()
        self._heard: tuple[datetime, float] | None = None

    def hear(self, response: httpx.Response) -> None:
        """Take the portal's time from one of its answers (an event hook of the HTTP client)."""
        try:
            moment = parsedate_to_datetime(response.headers.get("Date", ""))
        except (ValueError, TypeError):
            return
        if moment.tzinfo is not None:
            with self._lock:
                self._heard = (moment.astimezone(UTC) + _HALF_A_SECOND, self._steady())

    def now(self) -> datetime:
        """Return the portal's time; the node's own while the portal's is unknown or more than ten minutes away."""
        local, portal = self._local(), self._portal_time()
        return local if portal is None or abs(portal - local) > LARGEST_CORRECTION else portal

    def off_s(self) -> int:
        """By how many seconds this node's clock is ahead of the portal's; 0 while that is unknown."""
        portal = self._portal_time()
        return 0 if portal is None else round((self._local() - portal).total_seconds())

    def _portal_time(self) -> datetime | None:
        with self._lock:
            heard = self._heard
        return None if heard is None else heard[0] + timedelta(seconds=self._steady() - heard[1])


def warning(off_s: int) -> str:
    """A sentence about a clock that is off; empty when it is right enough."""
    if abs(off_s) <= WARN_BEYOND_S:
        return ""
    way = "ahead of" if off_s > 0 else "behind"
    return f"This machine's clock is {abs(off_s)} s {way} the portal's: set it. Beyond 5 minutes the portal refuses it."
