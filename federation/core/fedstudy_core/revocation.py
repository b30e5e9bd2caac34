"""The revocation: what a site signs to take one of its statements back.

It is signed by the node's own key, so that stopping needs no passphrase, and by the approver's key too where that is at
hand. Either counts; a signature by one of them that does not hold makes the whole worthless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, ValidationError

from fedstudy_core import canonical, dsse
from fedstudy_core.errors import Refusal
from fedstudy_core.statement import Identifier, Sha256
from fedstudy_core.times import parse_time

PAYLOAD_TYPE = "application/vnd.fedstudy.revocation.v1+json"


class Revocation(BaseModel):
    """Which statement of which node no longer counts. The time is UTC, ISO 8601, whole seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1] = 1
    statement: Sha256
    node: Identifier
    reason: str
    revoked_at: str


def sign_revocation(revocation: Revocation, keys: Sequence[Ed25519PrivateKey]) -> bytes:
    """The envelope (DSSE, JSON) around the revocation."""
    return dsse.sign(PAYLOAD_TYPE, canonical.dumps(revocation.model_dump(mode="json")), keys)


def verify_revocation(envelope: bytes, trusted: Mapping[str, dsse.VerifyingKey]) -> Revocation:
    """The revocation that a trusted key signed.

    Raises:
        Refusal: the codes of `dsse.verify`, then E_NOT_CANONICAL, E_DUPKEY, E_FIELDS.
    """
    value = canonical.loads(dsse.verify(envelope, PAYLOAD_TYPE, trusted))
    try:
        revocation = Revocation.model_validate(value)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise Refusal("E_FIELDS", f"The revocation's field “{where}” does not fit.") from error
    parse_time(revocation.revoked_at)
    return revocation
