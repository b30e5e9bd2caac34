"""What nodes sign about pooled rows: the pool node's key, a sealed object, the revocation, the deletion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fedstudy_core.dsse import VerifyingKey
from fedstudy_core.errors import Refusal
from fedstudy_core.pooling.consent import Consent
from fedstudy_core.pooling.documents import Count, Document, Nonce, Number, Recipient, verify
from fedstudy_core.statement import Identifier, Sha256, Signer
from fedstudy_core.times import parse_time

Named = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=2, max_length=2)]


class PoolKey(Document):
    """The pool node's public key for one study and one site, signed by the pool node."""

    kind_of_payload: ClassVar[str] = "application/vnd.fedstudy.pool-key.v1+json"

    v: Literal[1] = 1
    kind: Literal["key"] = "key"
    study: Identifier
    site: Identifier
    node: Identifier
    recipient: Recipient
    issued_at: str


class ObjectManifest(Document):
    """One sealed upload, signed by the site's node.

    Attributes:
        consent: SHA-256 of the consent's payload.
        sha256, size: of the ciphertext.
        columns: name and Arrow type of each, in order.
        k: rows of the smallest group over the consent's quasi-identifiers.
    """

    kind_of_payload: ClassVar[str] = "application/vnd.fedstudy.pooled-object.v1+json"

    v: Literal[1] = 1
    kind: Literal["object"] = "object"
    study: Identifier
    site: Identifier
    node: Identifier
    consent: Sha256
    sha256: Sha256
    size: Count
    rows: Count
    columns: Annotated[list[Named], Field(min_length=1, max_length=2000)]
    k: Count
    recipients: Annotated[list[Recipient], Field(min_length=1, max_length=8)]
    issued_at: str


class PoolRevocation(Document):
    """A site takes a consent back; with `delete` its rows are to be destroyed, not only left unused.

    It is signed by the site's node, so that stopping needs no passphrase, and by people where they are at hand.
    """

    kind_of_payload: ClassVar[str] = "application/vnd.fedstudy.pool-revocation.v1+json"

    v: Literal[1] = 1
    kind: Literal["revocation"] = "revocation"
    study: Identifier
    site: Identifier
    node: Identifier
    consent: Sha256
    delete: bool
    reason: Annotated[str, Field(max_length=500)] = ""
    meaning: Literal["revoked"] = "revoked"
    approvers: Annotated[list[Signer], Field(max_length=2)] = []
    nonce: Nonce
    sequence: Number
    issued_at: str


class PoolDeletion(Document):
    """The pool node destroyed the key of a study and a site, and what it held of the objects sealed for it."""

    kind_of_payload: ClassVar[str] = "application/vnd.fedstudy.pool-deletion.v1+json"

    v: Literal[1] = 1
    kind: Literal["deletion"] = "deletion"
    study: Identifier
    site: Identifier
    node: Identifier
    consent: Sha256
    objects: Annotated[list[Sha256], Field(max_length=10_000)]
    recipient: Recipient
    reason: Literal["revoked", "retention"]
    destroyed_at: str


def verify_key(envelope: bytes, keys: Mapping[str, VerifyingKey]) -> PoolKey:
    """The key that the pool node signed. Raises Refusal as `documents.verify`."""
    key, _ = verify(PoolKey, envelope, keys)
    parse_time(key.issued_at)
    return key


def verify_manifest(envelope: bytes, keys: Mapping[str, VerifyingKey]) -> ObjectManifest:
    """The manifest that the site's node signed. Raises Refusal as `documents.verify`."""
    manifest, _ = verify(ObjectManifest, envelope, keys)
    parse_time(manifest.issued_at)
    return manifest


def verify_revocation(envelope: bytes, trusted: Mapping[str, VerifyingKey]) -> PoolRevocation:
    """The revocation that somebody whom the site trusts signed, its node included.

    Raises:
        Refusal: as `documents.verify`; E_SIGNERS when it names somebody who did not sign.
    """
    revocation, signed = verify(PoolRevocation, envelope, trusted)
    if not {signer.key for signer in revocation.approvers} <= signed:
        raise Refusal("E_SIGNERS", "The revocation names somebody who did not sign it.")
    parse_time(revocation.issued_at)
    return revocation


def verify_deletion(envelope: bytes, keys: Mapping[str, VerifyingKey]) -> PoolDeletion:
    """The deletion that the pool node signed. Raises Refusal as `documents.verify`."""
    deletion, _ = verify(PoolDeletion, envelope, keys)
    parse_time(deletion.destroyed_at)
    return deletion


def check_manifest(manifest: ObjectManifest, consent: Consent, consent_id: str) -> None:
    """Refuse an object that the consent does not cover.

    Raises:
        Refusal: E_CONSENT, E_POOL_COLUMNS, E_POOL_K.
    """
    if manifest.consent != consent_id:
        raise Refusal("E_CONSENT", "The object was sent under another consent.")
    if (manifest.study, manifest.site, manifest.node) != (consent.study, consent.site, consent.node):
        raise Refusal("E_CONSENT", "The object is of another study, site or node than the consent.")
    if manifest.recipients != consent.recipients:
        raise Refusal("E_CONSENT", "The object is sealed for others than those whom the consent names.")
    if [name for name, _ in manifest.columns] != consent.columns:
        raise Refusal("E_POOL_COLUMNS", "The object has other columns than the consent names.")
    if manifest.k < consent.k.least:
        raise Refusal("E_POOL_K", f"A group has {manifest.k} rows; the consent asks for {consent.k.least}.")
