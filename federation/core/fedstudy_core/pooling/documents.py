"""What the documents of pooling have in common: canonical JSON in a DSSE envelope, verified before it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedstudy_core import canonical, dsse
from fedstudy_core.errors import Refusal

Recipient = Annotated[str, Field(pattern=r"^age1[02-9ac-hj-np-z]{58}$")]
Column = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Nonce = Annotated[str, Field(min_length=16, max_length=64)]
Number = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """A part of a document: no unknown fields, no conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Document(Part):
    """What is signed as a whole. `kind_of_payload` stands in its envelope."""

    kind_of_payload: ClassVar[str]


AnyDocument = TypeVar("AnyDocument", bound=Document)


def payload_of(document: Document) -> bytes:
    """The bytes that are signed (inside the envelope's PAE)."""
    return canonical.dumps(document.model_dump(mode="json", exclude_none=True))


def to_sign(document: Document) -> bytes:
    """The bytes that a key signs."""
    return dsse.pre_authentication(document.kind_of_payload, payload_of(document))


def sign(document: Document, keys: Sequence[Ed25519PrivateKey]) -> bytes:
    """The envelope (DSSE, JSON) around a document, signed by each key."""
    return dsse.sign(document.kind_of_payload, payload_of(document), keys)


def assemble(document: Document, signatures: Mapping[str, bytes]) -> bytes:
    """The envelope around a document with signatures made elsewhere, by their keys' ids. Raises Refusal E_SIZE."""
    return dsse.assemble(document.kind_of_payload, payload_of(document), signatures)


def verify(
    kind: type[AnyDocument], envelope: bytes, trusted: Mapping[str, dsse.VerifyingKey]
) -> tuple[AnyDocument, frozenset[str]]:
    """The document that a trusted key signed, and the ids of the trusted keys that did.

    Raises:
        Refusal: the codes of `dsse.verify`, then E_NOT_CANONICAL, E_DUPKEY, E_VERSION, E_FIELDS.
    """
    payload, signed = dsse.verify_signers(envelope, kind.kind_of_payload, trusted)
    return read(kind, payload), signed


def read_unverified(kind: type[AnyDocument], envelope: bytes) -> AnyDocument:
    """What an envelope claims, for display only. Raises Refusal as `verify` does once the signatures hold."""
    return read(kind, dsse.unverified_payload(envelope))


def read(kind: type[AnyDocument], payload: bytes) -> AnyDocument:
    """The document of a payload. Raises Refusal (E_NOT_CANONICAL, E_DUPKEY, E_VERSION, E_FIELDS)."""
    value: Any = canonical.loads(payload)
    if not isinstance(value, dict):
        raise Refusal("E_FIELDS", "The document is not an object.")
    if value.get("v") != 1 or isinstance(value.get("v"), bool):
        raise Refusal("E_VERSION", "The document is of a version that is not known here.")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or first["msg"]
        raise Refusal("E_FIELDS", f"The document's field “{where}” does not fit.") from error


def document_id(envelope: bytes) -> str:
    """SHA-256 of what was signed, by which other documents name this one (not of the envelope: `statement_id`).

    Raises:
        Refusal: E_SIZE, E_ENVELOPE.
    """
    return canonical.digest(dsse.unverified_payload(envelope))
