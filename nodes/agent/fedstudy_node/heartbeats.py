"""The thread that tells the portal that the node is alive, and hears what the portal thinks of it."""

import secrets
import threading
from collections.abc import Callable
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core.errors import FedStudyError
from fedstudy_node.clock import Clock
from fedstudy_node.control import Control
from fedstudy_node.datasets import Datasets
from fedstudy_node.home import Home
from fedstudy_node.levels import Levels
from fedstudy_node.portal import Portal, PortalRefusal
from fedstudy_node.rotation import KeyChange
from fedstudy_node.status import Status

log = structlog.get_logger()

INTERVAL = 10.0
INTERVAL_WHILE_PENDING = 2.0
MOST_VETOES = MOST_LEVELS = 1000  # as the portal takes them


class Heartbeats(threading.Thread):
    """Sends a heartbeat every 10 s; every 2 s until the node is confirmed and known to the SuperLink.

    A portal that knows the node and no longer lets it work says so here (E_NODE): the work ends within seconds.
    """

    def __init__(
        self,
        home: Home,
        open_portal: Callable[[Ed25519PrivateKey], Portal],
        datasets: Datasets,
        status: Status,
        control: Control,
        *,
        clock: Clock,
        sandbox: str,
        stop: threading.Event,
        wake: threading.Event,
        tell_pool: Callable[[int | None], None] = lambda changed: None,
    ) -> None:
        """`tell_pool` is given the portal's count of changes for a pool node, None where this node is none."""
        super().__init__(name="heartbeats", daemon=True)
        self._tell_pool = tell_pool
        self._home = home
        self._open_portal = open_portal
        self._key_change = KeyChange(home, open_portal)
        self._datasets = datasets
        self._status = status
        self._control = control
        self._clock = clock
        self._sandbox = sandbox
        self._boot = secrets.token_hex(16)
        self._due = threading.Event()
        self._stop_asked = stop
        self._wake = wake
        self._said = ""

    def run(self) -> None:
        """Beat until told to stop; what nobody foresaw (a full disk) ends no more than one beat."""
        self._key_change.finish()
        stamp, portal = -1, None
        while not self._stop_asked.is_set():
            try:
                if portal is None or stamp != self._home.key_stamp():
                    stamp = self._home.key_stamp()
                    portal = self._open_portal(self._home.identity_key())
                interval = self._beat(portal)
            except Exception:
                log.exception("heartbeat_failed")
                interval = INTERVAL
            self._status.set(clock_off_s=self._clock.off_s())
            self._due.wait(interval * (0.9 + secrets.randbelow(200) / 1000))
            self._due.clear()

    def hurry(self) -> None:
        """Send the next heartbeat now, or stop now if that was asked; from any thread."""
        self._due.set()

    def begin_anew(self) -> None:
        """Count as started now: the portal sends again what it asked this node before; from any thread."""
        self._boot = secrets.token_hex(16)
        self.hurry()

    def _beat(self, portal: Portal) -> float:
        try:
            answer = portal.heartbeat(self._words())
        except FedStudyError as error:
            self._refused(error)
            return INTERVAL_WHILE_PENDING if self._has_new_keys(error) else INTERVAL
        state = str(answer.get("node_state", ""))
        known = answer.get("flower_node_id") is not None
        if (self._status.get("node_state"), self._status.get("at_superlink")) != (state, known):
            log.info("node_state", state=state, at_superlink=known)
            self._wake.set()
        self._said = ""
        self._control.admit()
        self._status.set(portal="connected", node_state=state, at_superlink=known, portal_error="", excluded="")
        self._tell_pool(_changed(answer.get("pool")))
        return INTERVAL if state == "active" and known else INTERVAL_WHILE_PENDING

    def _words(self) -> dict[str, Any]:
        """Return what this heartbeat says of the node."""
        state = self._control.state()
        paused = {"since": state.paused.at, "reason": state.paused.reason} if state.paused else None
        return {
            "sandbox": self._sandbox,
            "datasets": [{"id": item.id, "fingerprint": item.fingerprint} for item in self._datasets.all()],
            "boot": self._boot,
            "paused": paused,
            "vetoes": list(state.vetoes)[-MOST_VETOES:],
            "page_url": self._status.get("page"),
            "levels": dict(list(Levels(self._home).all().items())[-MOST_LEVELS:]),
        }

    def _has_new_keys(self, error: FedStudyError) -> bool:
        """Whether the portal knows this node by keys that it was about to switch to when it was cut off."""
        if not isinstance(error, PortalRefusal) or error.portal_code != "E_SIGNATURE" or not self._key_change.is_open():
            return False
        try:
            recovered = self._key_change.recover()
            log.info("new_keys_taken_up", recovered=recovered)
            return recovered
        except FedStudyError as trouble:
            log.warning("keys_not_settled", code=trouble.code, detail=trouble.detail)
            return False

    def _refused(self, error: FedStudyError) -> None:
        """Note that the portal did not take the heartbeat; end the work when it no longer lets this node do any."""
        if isinstance(error, PortalRefusal) and error.portal_code == "E_NODE":
            if not self._status.get("excluded"):
                log.error("node_excluded", detail=error.detail)
            self._control.exclude(error.detail)
            self._status.set(excluded=error.detail)
        self._status.set(portal="disconnected", portal_error=error.detail)
        if self._said != error.detail:
            log.warning("portal_disconnected", code=error.code, detail=error.detail)
        self._said = error.detail


def _changed(pool: Any) -> int | None:
    """Read how often something changed for this node as a pool node; None where it is none."""
    changed = pool.get("changed") if isinstance(pool, dict) else None
    return changed if isinstance(changed, int) else None
