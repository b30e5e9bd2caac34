"""The thread of a pool node: has its work done when the portal says that something changed, and by the clock.

A node that is no study's pool node is told so by the heartbeat: it asks for nothing, and loads nothing that reads rows.
"""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING

import structlog

from fedstudy_core.errors import FedStudyError
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.pooling.memory import Memory
from fedstudy_node.portal import Portal

if TYPE_CHECKING:
    from fedstudy_node.pooling.keeper import Keeper

log = structlog.get_logger()

INTERVAL = 10.0
LONGEST = 600.0  # what the clock alone decides (retention) waits no longer


class PoolWatch(threading.Thread):
    """Looks every 10 s, and at once when there is news. When it ends no row is left in memory."""

    def __init__(
        self, home: Home, open_portal: Callable[[Ledger], AbstractContextManager[Portal]], stop: threading.Event
    ) -> None:
        super().__init__(name="pool", daemon=True)
        self._home = home
        self._open_portal = open_portal
        self._stop_asked = stop
        self._due = threading.Event()
        self._keeper: Keeper | None = None
        self._told: int | None = None
        self._done: int | None = None
        self._worked_at = float("-inf")
        self._said = ""

    def tell(self, changed: int | None) -> None:
        """Take in the heartbeat's word: a number that rises when something changed; None for no pool node."""
        self._told = changed
        if changed != self._done:
            self._due.set()

    def hurry(self) -> None:
        """Look now, or stop now if that was asked; from any thread."""
        self._due.set()

    def run(self) -> None:
        """Look until told to stop; what nobody foresaw ends no more than one look."""
        Memory(self._home).clear()
        while not self._stop_asked.is_set():
            try:
                self.look()
            except FedStudyError as error:
                if error.detail != self._said:
                    log.warning("pool_waits", code=error.code, detail=error.detail)
                self._said = error.detail
            except Exception:
                log.exception("pool_failed")
            self._due.wait(INTERVAL * (0.9 + secrets.randbelow(200) / 1000))
            self._due.clear()
        Memory(self._home).clear()

    def look(self) -> None:
        """Stop what is over by the clock; then, where there is news, do what it is about. Raises FedStudyError."""
        told = self._told
        if told is None and self._keeper is None:
            return
        keeper = self._work()
        with closing(Ledger(self._home.ledger_path)) as ledger:
            keeper.drop_expired(ledger)
            if told is None:
                keeper.stand_down(ledger)
            elif told != self._done or keeper.is_unfinished or time.monotonic() - self._worked_at > LONGEST:
                with self._open_portal(ledger) as portal:
                    keeper.work(ledger, portal)
                self._worked_at, self._said = time.monotonic(), ""
        self._done = told

    def _work(self) -> "Keeper":
        if self._keeper is None:
            from fedstudy_node.pooling.keeper import Keeper

            self._keeper = Keeper(self._home)
        return self._keeper
