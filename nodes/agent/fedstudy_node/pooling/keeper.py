"""A pool node's work: it makes keys, opens what sites sealed for it, and stops using it when they say so.

The portal's word is enough to stop (an object that it lists no more, or as revoked, is dropped), and never enough to
begin: consent, manifest and rows are verified here. What is opened lies in memory only.
"""

from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Literal

import structlog

from fedstudy_core.errors import FedStudyError, Refusal
from fedstudy_core.pooling.documents import sign
from fedstudy_core.pooling.statements import PoolDeletion, PoolKey
from fedstudy_core.wire_pool import PoolKeyWanted
from fedstudy_node.errors import FleetError, NodeError
from fedstudy_node.freight import Address
from fedstudy_node.home import Home, now_text, write_private
from fedstudy_node.ledger import Ledger
from fedstudy_node.pooling.carriage import OBJECTS, freight_client
from fedstudy_node.pooling.memory import Memory
from fedstudy_node.pooling.opening import Listed, check_usable, listed, open_object
from fedstudy_node.pooling.table import Pooled, PooledTables
from fedstudy_node.pooling.vault import GONE, Pair, Vault
from fedstudy_node.portal import Portal

log = structlog.get_logger()

Reason = Literal["revoked", "retention"]


class Keeper:
    """A pool node's work. One for the agent, used by one thread (`watch`)."""

    def __init__(self, home: Home, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._home = home
        self._now = now
        self._vault = Vault(home)
        self._memory = Memory(home)
        self._tables = PooledTables(home, self._memory)
        self._held: dict[str, Pooled] = {}  # by consent
        self._refused: set[str] = set()

    @property
    def is_unfinished(self) -> bool:
        """Whether a table is to be made anew."""
        return self._tables.unfinished

    def stand_down(self, ledger: Ledger) -> None:
        """Use nothing any more."""
        self._drop_others(set(), ledger)
        self._tables.withdraw_all()

    def drop_expired(self, ledger: Ledger) -> None:
        """Stop using rows whose consent is over by the clock; nobody need be asked."""
        for consent_id, held in list(self._held.items()):
            if held.is_over(self._now()):
                self._drop(consent_id, "expired", ledger)

    def work(self, ledger: Ledger, portal: Portal) -> None:
        """Make keys, drop, destroy, open, offer. Raises FedStudyError: what is left is done at the next look."""
        self._make_keys(ledger, portal)
        items = self._listed(ledger, portal)
        self._drop_others({item.consent_id for item in items}, ledger)
        for item in items:
            self._settle(item, items, ledger)
        trouble = self._open_all(items, ledger)
        self._tables.offer(list(self._held.values()), ledger, portal)
        self._tell_deletions(portal)
        if trouble is not None:
            raise trouble

    def _make_keys(self, ledger: Ledger, portal: Portal) -> None:
        """Make the keys that are asked for, and say which they are."""
        node = self._home.enrolled().node
        for raw in portal.wanted_pool_keys():
            wanted = PoolKeyWanted.model_validate(raw)
            fresh = self._vault.key(wanted.study, wanted.site) is None
            key = self._vault.make_key(wanted.study, wanted.site)
            said = PoolKey(
                study=wanted.study, site=wanted.site, node=node, recipient=key.recipient, issued_at=now_text()
            )
            if fresh:
                told = {"study": wanted.study, "recipient": key.recipient}
                ledger.journal.append("pool_key_made", wanted.site, told)
            envelope = b64encode(sign(said, [self._home.identity_key()])).decode("ascii")
            portal.add_pool_key(
                {"study": wanted.study, "site": wanted.site, "recipient": key.recipient, "envelope": envelope}
            )

    def _listed(self, ledger: Ledger, portal: Portal) -> list[Listed]:
        """Return what the portal lists and sites signed, newest consents first; the rest is refused and noted.

        One that cannot be read keeps none of the others from being dropped.
        """
        items = []
        for raw in portal.pooled_objects():
            try:
                items.append(listed(raw))
            except FedStudyError as error:
                self._refuse(str(raw.get("object", "")), error, ledger)
        items.sort(key=lambda item: item.consent.sequence, reverse=True)
        for item in items:
            pair = (item.consent.study, item.consent.site)
            if item.consent.sequence > self._vault.state().newest_of(*pair) and item.row.state == "complete":
                self._vault.remember_newest(*pair, item.consent.sequence)
        return items

    def _drop_others(self, consents: set[str], ledger: Ledger) -> None:
        """Stop using what the portal lists no more."""
        for consent_id in [held for held in self._held if held not in consents]:
            self._drop(consent_id, "not listed any more", ledger)

    def _settle(self, item: Listed, items: list[Listed], ledger: Ledger) -> None:
        """Stop using what was taken back, is over or replaced; destroy what is to be destroyed."""
        state = self._vault.state()
        if item.is_past_retention(self._now()):
            self._end(item, items, "retention", ledger)
        elif item.is_revoked and item.is_to_be_deleted:
            self._end(item, items, "revoked", ledger)
        elif item.is_revoked:
            if item.consent_id not in state.over:
                self._vault.remember_over(item.consent_id, "revoked")
            self._drop(item.consent_id, "revoked", ledger)
        elif item.consent.sequence < state.newest_of(item.consent.study, item.consent.site):
            self._drop(item.consent_id, "a newer consent", ledger)

    def _drop(self, consent_id: str, why: str, ledger: Ledger) -> None:
        """Stop using the rows of a consent, at once: their table is unbound before anything else is done."""
        held = self._held.pop(consent_id, None)
        if held is None:
            return
        self._tables.withdraw(held.study)
        ledger.journal.append("pool_dropped", consent_id, {"study": held.study, "site": held.site, "why": why})
        log.info("pool_dropped", consent=consent_id[:12], why=why)

    def _stands_on_key_of(self, item: Listed, other: Listed) -> bool:
        """Whether another consent of the site is in force, and its rows are sealed for the key of this one."""
        same_key = (other.consent.site, other.consent.pool) == (item.consent.site, item.consent.pool)
        is_in_force = not (other.is_revoked or other.is_past_retention(self._now()))
        return same_key and is_in_force and other.consent_id not in self._vault.state().over

    def _end(self, item: Listed, items: list[Listed], why: Reason, ledger: Ledger) -> None:
        """Destroy the key of rows that are to be gone; where another consent stands on it, remove what is here."""
        if any(self._stands_on_key_of(item, other) for other in items):
            self._remove(item, why, ledger)
        else:
            self._destroy(item, items, why, ledger)

    def _remove(self, item: Listed, why: Reason, ledger: Ledger) -> None:
        """Remove what is here of some rows; the key goes once no other consent stands on it."""
        if self._vault.state().over.get(item.consent_id) in GONE:
            return
        self._drop(item.consent_id, why, ledger)
        self._vault.remove_sealed(item.manifest.sha256)
        self._vault.remember_over(item.consent_id, "retention" if why == "retention" else "removed")
        told = {"study": item.consent.study, "site": item.consent.site, "sha256": item.manifest.sha256, "why": why}
        ledger.journal.append("pool_removed", item.consent_id, told)

    def _destroy(self, item: Listed, items: list[Listed], why: Reason, ledger: Ledger) -> None:
        """Destroy the key that opens the objects of a site, remove what is here of them, sign that this was done.

        All that was sealed for that key is gone with it, what came under other consents too.
        """
        if self._vault.state().over.get(item.consent_id) == "destroyed":
            return
        consent = item.consent
        gone = [other for other in items if other.consent.pool == consent.pool and other.consent.site == consent.site]
        for other in gone:
            self._drop(other.consent_id, why, ledger)
            self._vault.remove_sealed(other.manifest.sha256)
        key = self._vault.key(consent.study, consent.site)
        if key is not None and key.recipient == consent.pool.recipient:
            self._vault.destroy_key(consent.study, consent.site)
        deletion = PoolDeletion(
            study=consent.study,
            site=consent.site,
            node=self._home.enrolled().node,
            consent=item.consent_id,
            objects=sorted(other.manifest.sha256 for other in gone),
            recipient=consent.pool.recipient,
            reason=why,
            destroyed_at=now_text(),
        )
        self._vault.keep_deletion(item.consent_id, sign(deletion, [self._home.identity_key()]))
        self._vault.remember_over(item.consent_id, "destroyed")
        told = {"study": consent.study, "site": consent.site, "recipient": consent.pool.recipient, "why": why}
        ledger.journal.append("pool_destroyed", item.consent_id, told)
        log.info("pool_destroyed", consent=item.consent_id[:12], why=why)

    def _open_all(self, items: list[Listed], ledger: Ledger) -> FedStudyError | None:
        """Open what may be used and is not open yet. Returns what kept some of it from being opened for now."""
        trouble: FedStudyError | None = None
        seen: set[Pair] = set()
        for item in items:
            pair = (item.consent.study, item.consent.site)
            if item.is_revoked or item.consent_id in self._vault.state().over or pair in seen:
                continue
            seen.add(pair)
            if item.consent_id in self._held:
                continue
            try:
                self._open(item, ledger)
            except Refusal as refusal:
                self._refuse(item.row.object, refusal, ledger)
            except FedStudyError as error:
                trouble = error
        return trouble

    def _open(self, item: Listed, ledger: Ledger) -> None:
        node = self._home.enrolled().node
        secret = check_usable(item, self._vault, self._vault.state(), node=node, now=self._now())
        self._memory.prepare()
        self._fetch(item)
        table = open_object(item, self._vault, secret)
        self._held[item.consent_id] = Pooled.of(item, table)
        told: dict[str, str | int | None] = {
            "study": item.consent.study, "site": item.consent.site, "rows": len(table), "sha256": item.manifest.sha256,
        }  # fmt: skip
        ledger.journal.append("pool_opened", item.consent_id, told)
        log.info("pool_opened", consent=item.consent_id[:12], rows=len(table))

    def _fetch(self, item: Listed) -> None:
        """Fetch the ciphertext, where it is not here. Raises NodeError (E_PORTAL)."""
        path = self._vault.sealed_path(item.manifest.sha256)
        if path.exists():
            return
        self._home.check_room(item.manifest.size)
        address = Address(f"{OBJECTS}{item.row.object}/content")
        self._vault.room_for_sealed()
        try:
            with closing(freight_client(self._home)) as freight:
                came = freight.fetch_from(address, item.manifest.sha256, lambda: None)
        except FleetError as error:
            raise NodeError("E_PORTAL", f"A pooled object did not come: {error}.") from error
        write_private(path, bytes(came.data))

    def _tell_deletions(self, portal: Portal) -> None:
        for consent_id, envelope in self._vault.deletions().items():
            portal.tell_pool_deletion(b64encode(envelope).decode("ascii"))
            self._vault.deletion_told(consent_id)

    def _refuse(self, name: str, refusal: FedStudyError, ledger: Ledger) -> None:
        """Write down once why an object is not used."""
        if f"{name}:{refusal.code}" in self._refused:
            return
        self._refused.add(f"{name}:{refusal.code}")
        ledger.journal.append("pool_refused", name, {"code": refusal.code, "detail": refusal.detail})
        log.warning("pool_refused", object=name, code=refusal.code, detail=refusal.detail)
