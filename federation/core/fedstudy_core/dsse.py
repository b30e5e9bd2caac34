"""Signed envelopes (Dead Simple Signing Envelope 1.0): the signatures are checked before anything is parsed."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core.errors import Refusal
from fedstudy_core.keys import key_id

MAX_BYTES = 64 * 1024
MAX_SIGNATURES = 8


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed (PAE)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


class VerifyingKey(Protocol):
    """The public part of a key. `verify` raises Refusal or `cryptography`'s InvalidSignature."""

    def verify(self, signature: bytes, data: bytes, /) -> None: ...


def sign(payload_type: str, payload: bytes, keys: Sequence[Ed25519PrivateKey]) -> bytes:
    """An envelope around the payload, signed by each key."""
    signed = pre_authentication(payload_type, payload)
    return assemble(payload_type, payload, {key_id(key.public_key()): key.sign(signed) for key in keys})


def assemble(payload_type: str, payload: bytes, signatures: Mapping[str, bytes]) -> bytes:
    """An envelope around the payload with signatures made elsewhere, by the ids of their keys.

    Raises:
        Refusal: E_SIZE.
    """
    envelope = {
        "payload": base64.b64encode(payload).decode("ascii"),
        "payloadType": payload_type,
        "signatures": [
            {"keyid": key, "sig": base64.b64encode(signature).decode("ascii")} for key, signature in signatures.items()
        ],
    }
    data = _written(envelope)
    if len(data) > MAX_BYTES or len(signatures) > MAX_SIGNATURES:
        raise Refusal("E_SIZE")
    return data


def verify(envelope: bytes, payload_type: str, trusted: Mapping[str, VerifyingKey]) -> bytes:
    """The payload, if a trusted key signed it; every signature by a trusted key must hold.

    Args:
        trusted: keys by their ids.

    Raises:
        Refusal: E_SIZE, E_ENVELOPE, E_TYPE, E_NO_TRUSTED_SIGNATURE, E_SIG (E_WA_* of a passkey), in this order.
    """
    return verify_signers(envelope, payload_type, trusted)[0]


def verify_signers(
    envelope: bytes, payload_type: str, trusted: Mapping[str, VerifyingKey]
) -> tuple[bytes, frozenset[str]]:
    """As `verify`; the payload and the ids of the trusted keys that signed it."""
    kind, payload, signatures = _open(envelope)
    if kind != payload_type:
        raise Refusal("E_TYPE", f"The envelope holds “{kind}”, not “{payload_type}”.")
    signed = pre_authentication(kind, payload)
    ours = {name: signature for name, signature in signatures if name in trusted}
    if not ours:
        raise Refusal("E_NO_TRUSTED_SIGNATURE")
    for name, signature in ours.items():
        try:
            trusted[name].verify(signature, signed)
        except InvalidSignature as error:
            raise Refusal("E_SIG") from error
    return payload, frozenset(ours)


def unverified_payload(envelope: bytes) -> bytes:
    """The payload without any check, for showing a document whose signer is not known. Never act on it."""
    return _open(envelope)[1]


def _written(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def _open(envelope: bytes) -> tuple[str, bytes, list[tuple[str, bytes]]]:
    if len(envelope) > MAX_BYTES:
        raise Refusal("E_SIZE")
    try:
        value = json.loads(envelope.decode("ascii"))
        if _written(value) != envelope:  # one document has one spelling, so nobody can pass it off as another one
            raise ValueError("not the one spelling")
        _only(value, {"payload", "payloadType", "signatures"})
        signatures = value["signatures"]
        if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
            raise ValueError("signatures")
        for signature in signatures:
            _only(signature, {"keyid", "sig"})
        names = [signature["keyid"] for signature in signatures]
        if len(set(names)) != len(names):
            raise ValueError("a key signed twice")
        return (
            _text(value["payloadType"]),
            _decode(value["payload"]),
            [(_text(signature["keyid"]), _decode(signature["sig"])) for signature in signatures],
        )
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise Refusal("E_ENVELOPE") from error


def _only(value: Any, names: set[str]) -> None:
    if not isinstance(value, dict) or set(value) != names:
        raise ValueError("unexpected fields")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not text")
    return value


def _decode(value: Any) -> bytes:
    data = base64.b64decode(_text(value), validate=True)
    if base64.b64encode(data).decode("ascii") != value:
        raise ValueError("not canonical base64")
    return data
