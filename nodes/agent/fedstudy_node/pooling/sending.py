"""Sealing the rows of a consent and handing them to the portal, which keeps what it cannot read.

The rows are never on a disk of this node but in the hospital's own file: they are made less telling and sealed in
memory, and what is written is ciphertext. It is kept until the portal has all of it, so that a broken connection or a
restart goes on where it stopped.
"""

import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from fedstudy_core.errors import Refusal
from fedstudy_core.flower import Packed
from fedstudy_core.freight import lying
from fedstudy_core.pooling.documents import sign
from fedstudy_core.pooling.statements import ObjectManifest, check_manifest
from fedstudy_core.wire_pool import PooledObjectAnswer
from fedstudy_node.datasets import Datasets
from fedstudy_node.errors import FleetError, NodeError
from fedstudy_node.freight import Address
from fedstudy_node.home import Home, now_text
from fedstudy_node.journal import Fact
from fedstudy_node.ledger import Ledger
from fedstudy_node.pooling.carriage import OBJECTS, freight_client
from fedstudy_node.pooling.deidentify import Deidentified, check_groups, named_types, written_table
from fedstudy_node.pooling.leaving import would_leave
from fedstudy_node.pooling.papers import Given, Papers
from fedstudy_node.pooling.sealing import Sealed, seal
from fedstudy_node.pooling.terms import terms_of
from fedstudy_node.portal import Portal


@dataclass(frozen=True)
class Sending:
    """Sends the rows of this node's consents."""

    home: Home
    ledger: Ledger

    @property
    def papers(self) -> Papers:
        """The consents."""
        return Papers(self.home)

    def prepare(self, given: Given, study: Mapping[str, Any]) -> Given:
        """Seal the rows that a consent names, once; what was sealed before and is still here is not sealed again.

        Raises:
            Refusal: E_DATASET when the file is not the consented one; E_POOL_COLUMNS, E_PROFILE, E_POOL_K; E_DISK_FULL.
        """
        if given.sent or (given.sha256 and self.papers.sealed_path(given.sha256).exists()):
            return given
        consent = given.consent
        dataset = Datasets(self.home).get(consent.dataset.id)
        if dataset.fingerprint != consent.dataset.fingerprint:
            raise NodeError("E_DATASET", "The dataset is not the one that was consented to: sign a consent for it.")
        made = would_leave(self.home, dataset, terms_of(consent), study)
        check_groups(made.report, consent.k)
        sealed = self._seal(made, given)
        manifest = self._manifest(made, given, sealed)
        check_manifest(manifest, consent, given.consent_id)
        told: dict[str, Fact] = {
            "study": given.study,
            "rows": made.report.rows,
            "k": made.report.k,
            "sha256": sealed.sha256,
        }
        self.ledger.journal.append("pool_sealed", given.consent_id, told)
        envelope = sign(manifest, [self.home.identity_key()])
        return self.papers.note(given.consent_id, manifest=envelope, sha256=sealed.sha256)

    def send(self, given: Given, portal: Portal, alive: Callable[[], None] = lambda: None) -> Given:
        """Hand in what was sealed. Sent before, nothing is done.

        Raises NodeError (E_PORTAL): the portal refuses it, or is away; what it has so far is not sent again.
        """
        if given.sent:
            return given
        try:
            answer = portal.announce_pooled_object(b64encode(given.manifest).decode("ascii"))
            address = PooledObjectAnswer.model_validate(answer).upload
        except ValidationError as error:
            raise NodeError("E_PORTAL", "The portal's answer has another form than it promises.") from error
        if not address.startswith(OBJECTS):
            raise NodeError("E_PORTAL", "The portal names another place for the object than it promises.")
        packed = Packed([lying(self.papers.sealed_path(given.sha256), given.sha256).data])
        if packed.sha256 != given.sha256:
            raise NodeError("E_DIGEST", "The sealed object was altered on this node's disk: remove it and send again.")
        try:
            with closing(freight_client(self.home)) as freight:
                freight.hand_in_at(Address(address), packed, alive, go_on=True)
        except FleetError as error:
            raise NodeError("E_PORTAL", f"The object was not taken: {error}.") from error
        self.ledger.journal.append(
            "pool_sent", given.consent_id, {"study": given.study, "sha256": given.sha256, "bytes": packed.size}
        )
        given = self.papers.note(given.consent_id, sent=True)
        self.papers.sealed_path(given.sha256).unlink(missing_ok=True)
        return given

    def _seal(self, made: Deidentified, given: Given) -> Sealed:
        """Write the ciphertext. Raises Refusal (E_DISK_FULL, E_TOO_LARGE)."""
        plain = written_table(made.table)
        self.home.check_room(len(plain))
        unfinished = self.papers.room_for_sealed() / f".{secrets.token_hex(8)}"
        try:
            with unfinished.open("xb") as file:
                unfinished.chmod(0o600)
                sealed = seal(plain, file, given.consent.recipients)
            unfinished.replace(self.papers.sealed_path(sealed.sha256))
        except OSError as error:
            raise Refusal("E_DISK_FULL") from error
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
        return sealed

    def _manifest(self, made: Deidentified, given: Given, sealed: Sealed) -> ObjectManifest:
        settings = self.home.enrolled()
        return ObjectManifest(
            study=given.study,
            site=settings.site,
            node=settings.node,
            consent=given.consent_id,
            sha256=sealed.sha256,
            size=sealed.size,
            rows=made.report.rows,
            columns=named_types(made.table),
            k=made.report.k,
            recipients=given.consent.recipients,
            issued_at=now_text(),
        )
