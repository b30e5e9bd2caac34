"""The thread that hears from the portal that something waits, so that the node need not ask all the time.

The portal says only that something waits: a message, which the SuperLink has, or news of the site's levels and of
pooled rows. Without this connection the node asks by itself, more often and a little later.
"""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import structlog

from fedstudy_core.errors import FedStudyError
from fedstudy_node.bell import Bell
from fedstudy_node.connecting import open_portal
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger

log = structlog.get_logger()

FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0
NEWS = "event: news"


class Wakes(threading.Thread):
    """Holds the connection and rings the bell; connects again for ever."""

    def __init__(
        self, home: Home, bell: Bell, stop: threading.Event, ask_for_news: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(name="wakes", daemon=True)
        self._ask_for_news = ask_for_news
        self._home = home
        self._bell = bell
        self._stop_asked = stop
        self._said = ""

    def run(self) -> None:
        """Listen until told to stop."""
        retry = FIRST_RETRY
        while not self._stop_asked.is_set():
            try:
                self._listen()
                retry = FIRST_RETRY
            except FedStudyError as error:
                if error.detail != self._said:
                    log.info("not_woken", code=error.code, detail=error.detail)
                self._said = error.detail
                self._stop_asked.wait(retry * (0.5 + secrets.randbelow(1000) / 1000))
                retry = min(retry * 2, LONGEST_RETRY)

    def _listen(self) -> None:
        """Ring for every message; one may have come before the connection stood, so ring for that too."""
        try:
            with (
                closing(Ledger(self._home.ledger_path)) as ledger,
                open_portal(self._home, ledger) as portal,
                portal.events() as lines,
            ):
                self._hear(lines)
        finally:
            self._bell.answered = False

    def _hear(self, lines: Iterator[str]) -> None:
        for line in lines:
            if self._stop_asked.is_set():
                return
            if line == NEWS:
                self._ask_for_news()
            elif line.startswith("event:") or not self._bell.answered:
                self._bell.answered, self._said = True, ""
                self._bell.ring()
