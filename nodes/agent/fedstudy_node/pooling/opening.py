"""A sealed object at the pool node: verified against what its site signed, then opened in memory."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow
from pydantic import ValidationError

from fedstudy_core.approvers import Approver, ApproverKey, by_id
from fedstudy_core.dsse import VerifyingKey
from fedstudy_core.errors import Refusal
from fedstudy_core.keys import key_id, public_from_text
from fedstudy_core.pooling.consent import Consent, check_consent, verify_consent
from fedstudy_core.pooling.documents import document_id, read_unverified
from fedstudy_core.pooling.statements import (
    ObjectManifest,
    PoolRevocation,
    check_manifest,
    verify_manifest,
    verify_revocation,
)
from fedstudy_core.times import parse_time
from fedstudy_core.wire_pool import PooledObject
from fedstudy_node.errors import NodeError
from fedstudy_node.pooling.deidentify import group_sizes, named_types, read_table
from fedstudy_node.pooling.sealing import open_sealed
from fedstudy_node.pooling.vault import State, Vault
from fedstudy_node.tables import file_sha256

SITE = "site"


@dataclass(frozen=True)
class Listed:
    """An object as the portal lists it, with what its site signed, verified by this node."""

    row: PooledObject
    consent_id: str
    consent: Consent
    manifest: ObjectManifest
    revocation: PoolRevocation | None

    @property
    def is_revoked(self) -> bool:
        """Whether the site signed that it takes its consent back, or the portal says so: stopping needs no proof."""
        return self.revocation is not None or self.row.state != "complete"

    @property
    def is_to_be_deleted(self) -> bool:
        """Whether the site wants its rows destroyed."""
        return self.row.delete or (self.revocation is not None and self.revocation.delete)

    def is_past_retention(self, now: datetime) -> bool:
        """Whether the rows may be held no longer."""
        return now >= parse_time(self.consent.retention_until)


def listed(raw: Mapping[str, object]) -> Listed:
    """Return an object that the portal lists.

    Of one that is not to be used any more the signatures need not hold: stopping needs no proof, and people who signed
    may have left the site since. Its rows are to be deleted all the same.

    Raises:
        NodeError: E_PORTAL for another form than it promises.
        Refusal: where a signature does not hold, or the documents do not belong together.
    """
    try:
        row = PooledObject.model_validate(raw)
        people = by_id([ApproverKey.model_validate(entry) for entry in row.approvers])
        envelope, manifest = _decoded(row.consent), _decoded(row.manifest)
    except (ValidationError, ValueError) as error:
        raise NodeError("E_PORTAL", "The portal lists a pooled object in another form than it promises.") from error
    try:
        return _verified(row, people, envelope, manifest)
    except Refusal:
        if row.state == "complete":
            raise
    consent_id, consent = document_id(envelope), read_unverified(Consent, envelope)
    return Listed(row, consent_id, consent, read_unverified(ObjectManifest, manifest), None)


def _verified(row: PooledObject, people: Mapping[str, Approver], envelope: bytes, signed: bytes) -> Listed:
    """The object, when all that its site signed holds. Raises Refusal."""
    public = public_from_text(row.node_key)
    node: dict[str, VerifyingKey] = {key_id(public): public}
    consent, consent_id = verify_consent(envelope, people), document_id(envelope)
    manifest = verify_manifest(signed, node)
    check_manifest(manifest, consent, consent_id)
    if (row.study, row.site, row.sha256, row.size) != (manifest.study, manifest.site, manifest.sha256, manifest.size):
        raise Refusal("E_CONSENT", "The portal lists the object as another one than its site signed.")
    return Listed(row, consent_id, consent, manifest, _revocation(row, people, node, consent_id))


def _decoded(text: str) -> bytes:
    return b64decode(text, validate=True)


def _revocation(
    row: PooledObject, people: Mapping[str, Approver], node: Mapping[str, VerifyingKey], consent_id: str
) -> PoolRevocation | None:
    if not row.revocation:
        return None
    keys = {**{name: approver.key for name, approver in people.items()}, **node}
    revocation = verify_revocation(_decoded(row.revocation), keys)
    if revocation.consent != consent_id:
        raise Refusal("E_CONSENT", "The revocation is of another consent.")
    return revocation


def check_usable(item: Listed, vault: Vault, state: State, *, node: str, now: datetime) -> str:
    """Return the secret key that opens an object, when its rows may be used.

    Raises:
        Refusal: E_CONSENT_REVOKED, E_CONSENT, E_CONSENT_EXPIRED; E_NO_CONSENT where a newer consent took its place.
    """
    consent = item.consent
    if item.consent_id in state.over or item.is_revoked:
        raise Refusal("E_CONSENT_REVOKED")
    if consent.sequence < state.newest_of(consent.study, consent.site):
        raise Refusal("E_NO_CONSENT", "The site signed a newer consent since.")
    key = vault.key(consent.study, consent.site)
    check_consent(
        consent,
        study=item.row.study,
        site=item.row.site,
        node=item.manifest.node,
        pool_node=node,
        recipient=key.recipient if key is not None else "",
        now=now,
    )
    return key.secret if key is not None else ""


def open_object(item: Listed, vault: Vault, secret: str) -> pyarrow.Table:
    """Return the rows of an object whose ciphertext is here; they are what its site signed.

    Raises:
        Refusal: E_DIGEST for another ciphertext, E_SEALED, E_POOL_COLUMNS, E_POOL_K.
    """
    manifest = item.manifest
    path = vault.sealed_path(manifest.sha256)
    if file_sha256(path) != manifest.sha256:
        raise Refusal("E_DIGEST", "What came is not the object that the site signed.")
    with path.open("rb") as file:
        table = read_table(open_sealed(file, secret))
    if named_types(table) != manifest.columns or SITE in table.column_names:
        raise Refusal("E_POOL_COLUMNS", "The object holds other columns than the site signed.")
    if len(table) != manifest.rows:
        raise Refusal("E_SEALED", "The object holds another number of rows than the site signed.")
    smallest = min(group_sizes(table, item.consent.k.columns).values(), default=0)
    if smallest < item.consent.k.least:
        raise Refusal("E_POOL_K", f"A group has {smallest} rows; the consent asks for {item.consent.k.least}.")
    return table
