"""The bodies of the node API's part for pooled rows. Envelopes travel in base64."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MAX_ENVELOPE = 100_000


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PoolKeyWanted(_Body):
    """A site of a study for which the pool node is to make a key."""

    study: str
    site: str
    site_name: str


class PoolKeyRequest(_Body):
    """The key that the pool node made for one study and one site; `envelope` is its signed statement."""

    study: str
    site: str
    recipient: str = Field(min_length=1, max_length=100)
    envelope: str = Field(max_length=MAX_ENVELOPE)


class PoolOffer(_Body):
    """Where a site's pooled rows of a study would go.

    Attributes:
        node, site: the pool node and the site that it belongs to.
        node_key: the pool node's identity key.
        recipient, envelope: the pool key for the site that asks, with its statement; empty until there is one.
        columns: the variables of the study's data dictionary.
    """

    node: str
    node_key: str
    site: str
    site_name: str
    recipient: str
    envelope: str
    columns: list[dict[str, Any]]


class PoolEnvelope(_Body):
    """A signed statement: a consent, a revocation, or that rows were deleted."""

    envelope: str = Field(max_length=MAX_ENVELOPE)


class PoolConsentAnswer(_Body):
    """`consent` is the SHA-256 of what was signed."""

    consent: str


class PooledObjectRequest(_Body):
    """An object that a site is about to hand in; `manifest` is its signed description."""

    manifest: str = Field(max_length=MAX_ENVELOPE)


class PooledObjectAnswer(_Body):
    """Its id, and the path at which its bytes are handed in."""

    object: str
    upload: str


class PooledObject(_Body):
    """A pooled object for the pool node, which verifies everything itself.

    Attributes:
        state: "complete", or "revoked": it is not to be used any more.
        manifest, consent, revocation: what was signed; `revocation` is empty unless the site signed one.
        delete: whether the site wants its rows deleted.
        node_key, approvers: of the site's node, to verify these.
    """

    object: str
    study: str
    site: str
    site_name: str
    state: str
    sha256: str
    size: int
    manifest: str
    consent: str
    revocation: str
    delete: bool
    node_key: str
    approvers: list[dict[str, Any]]
