"""The thread that looks after the portal's log: often while it grows or is refused, and each minute in any case."""

import secrets
import threading
from contextlib import closing

import structlog

from fedstudy_core.errors import FedStudyError, Refusal
from fedstudy_node.connecting import open_portal
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.witness import Witness

log = structlog.get_logger()

SOONEST, LONGEST = 10.0, 55.0
FIRST = 2.0


class Watching(threading.Thread):
    """Looks at the log until told to stop; what it found stands in the witness's memory."""

    def __init__(self, home: Home, stop: threading.Event) -> None:
        super().__init__(name="watching", daemon=True)
        self._home = home
        self._stop_asked = stop
        self._said = ""

    def run(self) -> None:
        """Look for ever; what nobody foresaw (a full disk) ends no more than one look."""
        pause = FIRST
        while not self._stop_asked.wait(pause * (0.9 + secrets.randbelow(200) / 1000)):
            try:
                soon = self._look()
            except FedStudyError as error:
                if error.detail != self._said:
                    log.warning("log_not_witnessed", code=error.code, detail=error.detail)
                soon, self._said = isinstance(error, Refusal), error.detail
            except Exception:
                log.exception("watching_failed")
                soon = False
            pause = SOONEST if soon else min(max(pause, SOONEST) * 1.5, LONGEST)

    def _look(self) -> bool:
        with closing(Ledger(self._home.ledger_path)) as ledger, open_portal(self._home, ledger) as portal:
            grew = Witness(self._home).look(ledger, portal)
        self._said = ""
        return grew
