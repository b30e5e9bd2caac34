"""The thread that keeps the site's paperwork with the portal in order: what is offered, signed, revoked.

Offers are kept on this node's shelf, so that its people can review and sign while the portal is away; what they signed
or revoked meanwhile is handed in when it is back. Scripts that a standing policy names are admitted here.
"""

import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import Any

import structlog

from fedstudy_core import canonical
from fedstudy_core.approvers import ApproverKey
from fedstudy_core.errors import FedStudyError
from fedstudy_node.approvals import Approvals
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.levels import Levels
from fedstudy_node.offers import Offers
from fedstudy_node.policies import Policies, StandingPolicy, admit, answered
from fedstudy_node.pooling.consenting import Consenting
from fedstudy_node.portal import Portal, PortalRefusal, PortalUnreachable
from fedstudy_node.signing import Signing
from fedstudy_node.trust import Trust

log = structlog.get_logger()

INTERVAL = 10.0
BUSY = frozenset({"E_SERVER", "E_UNAVAILABLE", "E_THROTTLED", "E_SEQ", "E_CLOCK", "E_NODE", "E_SIGNATURE"})


class Clerk(threading.Thread):
    """Looks after the paperwork every 10 s, and at once when asked to."""

    def __init__(
        self,
        home: Home,
        open_portal: Callable[[Ledger], AbstractContextManager[Portal]],
        stop: threading.Event,
        level_changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`level_changed` is called when this node holds to another level from now on."""
        super().__init__(name="clerk", daemon=True)
        self._level_changed = level_changed
        self._home = home
        self._open_portal = open_portal
        self._stop_asked = stop
        self._due = threading.Event()
        self._given_up: set[str] = set()
        self._said = ""
        self._told: tuple[ApproverKey, ...] = ()

    def run(self) -> None:
        """Work until told to stop; what nobody foresaw (a full disk) ends no more than one attempt."""
        while not self._stop_asked.is_set():
            try:
                with closing(Ledger(self._home.ledger_path)) as ledger:
                    self._work_under_present_keys(ledger)
            except Exception:
                log.exception("paperwork_failed")
                self._due.wait(INTERVAL)
                self._due.clear()

    def _work_under_present_keys(self, ledger: Ledger) -> None:
        keys = self._home.key_stamp()
        with self._open_portal(ledger) as portal:
            while not self._stop_asked.is_set() and self._home.key_stamp() == keys:
                self.work(ledger, portal)
                self._due.wait(INTERVAL * (0.9 + secrets.randbelow(200) / 1000))
                self._due.clear()

    def hurry(self) -> None:
        """Work now, or stop now if that was asked; from any thread."""
        self._due.set()

    def work(self, ledger: Ledger, portal: Portal) -> None:
        """Fetch, admit, hand in; what the portal does not take now is tried again next time."""
        try:
            self._tell_approvers(portal)
            rows = self._refresh(portal)
            self._fetch(rows, portal)
            self._admit(rows, ledger)
            self._hand_in(Signing(self._home, ledger), portal)
            self._hand_in_consents(Consenting(self._home, ledger), portal)
        except FedStudyError as error:
            if error.detail != self._said:
                log.warning("paperwork_waits", code=error.code, detail=error.detail)
            self._said = error.detail
        else:
            self._said = ""

    def _refresh(self, portal: Portal) -> list[dict[str, Any]]:
        """Ask what is offered, and at which levels."""
        before = Levels(self._home).all()
        rows = Offers(self._home).refresh(portal)
        if Levels(self._home).all() != before:
            self._level_changed()
        return rows

    def _tell_approvers(self, portal: Portal) -> None:
        """Tell the portal who may sign here, when the agent starts and whenever that has changed."""
        people = Trust(self._home).all()
        if people != self._told:
            portal.tell_approvers([entry.model_dump() for entry in people])
            self._told = people

    def _fetch(self, rows: list[dict[str, Any]], portal: Portal) -> None:
        """Fetch the scripts that this node does not have yet; an unsound one is not asked for again."""
        offers = Offers(self._home)
        for row in rows:
            sha256 = str(row["sha256"])
            if offers.bundle(sha256) is None:
                self._once(sha256, partial(offers.download, row, portal))

    def _admit(self, rows: list[dict[str, Any]], ledger: Ledger) -> None:
        """Sign what a standing policy names and nobody has decided about yet."""
        policies = Policies(self._home).in_force()
        if not policies:
            return
        decided = answered(self._home)
        for kept in policies:
            for row in rows:
                sha256, policy = str(row["sha256"]), kept.policy
                named = sha256 in policy.scripts and str(row["study"]) == policy.study
                if named and (sha256, policy.dataset.id) not in decided:
                    self._once(f"{kept.id}:{sha256}", partial(self._sign, str(row["version"]), kept, ledger))

    def _sign(self, version: str, kept: StandingPolicy, ledger: Ledger) -> None:
        offer = Offers(self._home).fetch(version, None)
        signed = admit(self._home, ledger, offer, kept)
        log.info("admitted", script=offer.title, policy=kept.id[:12], statement=signed.statement_id[:12])

    def _hand_in(self, signing: Signing, portal: Portal) -> None:
        approvals = Approvals(self._home)
        revoked = approvals.revocations().statements
        for signed in approvals.all():
            if signed.statement_id in revoked:
                self._once(f"revoke:{signed.statement_id}", partial(signing.tell_revocation, signed, portal))
            elif not signed.portal_id:
                self._once(signed.statement_id, partial(signing.hand_in, signed, portal))

    def _hand_in_consents(self, consenting: Consenting, portal: Portal) -> None:
        for given in consenting.papers.all():
            if given.revocation:
                act, name = consenting.tell_revocation, f"take back:{canonical.digest(given.revocation)}"
            else:
                act, name = consenting.hand_in, given.consent_id
            self._once(name, partial(act, given, portal))

    def _once(self, name: str, act: Callable[[], object]) -> None:
        """Do something; what is refused for good is logged, and not tried again while this agent runs.

        Raises NodeError when the portal is away or busy, so that the rest waits for the next time as well.
        """
        if name in self._given_up:
            return
        try:
            act()
        except PortalUnreachable:
            raise
        except FedStudyError as error:
            if isinstance(error, PortalRefusal) and error.portal_code in BUSY:
                raise
            self._given_up.add(name)
            log.warning("given_up", what=name[:24], code=error.code, detail=error.detail)
