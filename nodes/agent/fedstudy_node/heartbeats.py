"""The thread that tells the portal that the node is alive, and hears what the portal thinks of it."""

import secrets
import threading
from collections.abc import Callable

import structlog

from fedstudy_core.errors import FedStudyError
from fedstudy_node.datasets import Datasets
from fedstudy_node.gate import SANDBOX
from fedstudy_node.portal import Portal
from fedstudy_node.status import Status

log = structlog.get_logger()

INTERVAL = 10.0
INTERVAL_WHILE_PENDING = 2.0


class Heartbeats(threading.Thread):
    """Sends a heartbeat every 10 s; every 2 s until the node is confirmed and known to the SuperLink."""

    def __init__(
        self,
        open_portal: Callable[[], Portal],
        datasets: Datasets,
        status: Status,
        *,
        stop: threading.Event,
        wake: threading.Event,
    ) -> None:
        super().__init__(name="heartbeats", daemon=True)
        self._open_portal = open_portal
        self._datasets = datasets
        self._status = status
        self._stop_asked = stop
        self._wake = wake
        self._said = ""

    def run(self) -> None:
        """Beat until told to stop."""
        portal = self._open_portal()
        while not self._stop_asked.is_set():
            interval = self._beat(portal)
            self._stop_asked.wait(interval * (0.9 + secrets.randbelow(200) / 1000))

    def _beat(self, portal: Portal) -> float:
        offered = [{"id": item.id, "fingerprint": item.fingerprint} for item in self._datasets.all()]
        try:
            answer = portal.heartbeat(sandbox=SANDBOX, datasets=offered)
        except FedStudyError as error:
            self._status.set(portal="disconnected", portal_error=error.detail)
            if self._said != error.detail:
                log.warning("portal_disconnected", code=error.code, detail=error.detail)
            self._said = error.detail
            return INTERVAL
        state = str(answer.get("node_state", ""))
        known = answer.get("flower_node_id") is not None
        if (self._status.get("node_state"), self._status.get("at_superlink")) != (state, known):
            log.info("node_state", state=state, at_superlink=known)
            self._wake.set()
        self._said = ""
        self._status.set(portal="connected", node_state=state, at_superlink=known, portal_error="")
        return INTERVAL if state == "active" and known else INTERVAL_WHILE_PENDING
