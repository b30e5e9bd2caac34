"""Signatures by passkeys (Web Authentication Level 3, section 7.2): verified without a network, from pinned facts only.

What a passkey signs is the browser's account of a ceremony: that it happened on the node's own page, with the person
present and verified, over a challenge. The challenge is the SHA-256 of the document that is signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedstudy_core import canonical
from fedstudy_core.errors import Invalid, Refusal

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey

_USER_PRESENT, _USER_VERIFIED, _MAY_SYNC, _IS_SYNCED, _HAS_EXTENSIONS = 0x01, 0x04, 0x08, 0x10, 0x80
_RESERVED_OR_ATTESTED = 0x02 | 0x20 | 0x40
_FIXED_LENGTH = 37
_SHORTEST_RSA = 2048
_MOST_BYTES = 8 * 1024


@dataclass(frozen=True)
class Assertion:
    """One signature as the browser gives it, all in bytes."""

    authenticator_data: bytes
    client_data: bytes
    signature: bytes

    def to_bytes(self) -> bytes:
        """The assertion as a signature of an envelope."""
        return canonical.dumps(
            {
                "authenticatorData": _text(self.authenticator_data),
                "clientDataJSON": _text(self.client_data),
                "signature": _text(self.signature),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Assertion:
        """Raises Refusal E_ENVELOPE."""
        try:
            if len(data) > _MOST_BYTES:
                raise ValueError("too long")
            value = canonical.loads(data)
            if set(value) != {"authenticatorData", "clientDataJSON", "signature"}:
                raise ValueError("other fields")
            parts = [_bytes(value[name]) for name in ("authenticatorData", "clientDataJSON", "signature")]
        except (Refusal, ValueError, TypeError, binascii.Error) as error:
            raise Refusal("E_ENVELOPE", "A passkey's signature does not have the form.") from error
        return cls(*parts)

    @property
    def sign_count(self) -> int:
        """How often the passkey signed, where it counts (0 where it does not)."""
        return int.from_bytes(self.authenticator_data[33:37], "big")


@dataclass(frozen=True)
class Passkey:
    """A pinned passkey. `verify` is the check of an envelope's signature."""

    public_key: PublicKey
    rp_id: str
    origin: str
    synced: bool

    def verify(self, signature: bytes, data: bytes) -> None:
        """Return when the person signed exactly `data` on the node's page.

        Raises:
            Refusal: E_ENVELOPE, E_WA_TYPE, E_WA_ORIGIN, E_WA_CROSS_ORIGIN, E_WA_CHALLENGE, E_WA_RPID, E_WA_UP,
                E_WA_UV, E_WA_FLAGS, E_WA_SYNCED, in this order.
            InvalidSignature: when the key did not sign.
        """
        assertion = Assertion.from_bytes(signature)
        self._check_client(assertion.client_data, challenge_of(data))
        self._check_authenticator(assertion.authenticator_data)
        signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data).digest()
        _verify(self.public_key, assertion.signature, signed)

    def _check_client(self, client_data: bytes, challenge: bytes) -> None:
        """What the browser says of the page. Unknown members are fine: browsers add some."""
        try:
            client: Any = json.loads(client_data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise Refusal("E_ENVELOPE", "The browser's account of the signature cannot be read.") from error
        if not isinstance(client, dict) or client.get("type") != "webauthn.get":
            raise Refusal("E_WA_TYPE")
        if client.get("origin") != self.origin:
            raise Refusal("E_WA_ORIGIN")
        if client.get("crossOrigin", False) is not False or "topOrigin" in client:
            raise Refusal("E_WA_CROSS_ORIGIN")
        if client.get("challenge") != base64.urlsafe_b64encode(challenge).decode("ascii").rstrip("="):
            raise Refusal("E_WA_CHALLENGE")

    def _check_authenticator(self, data: bytes) -> None:
        if len(data) < _FIXED_LENGTH or data[:32] != hashlib.sha256(self.rp_id.encode("idna")).digest():
            raise Refusal("E_WA_RPID")
        flags = data[32]
        if not flags & _USER_PRESENT:
            raise Refusal("E_WA_UP")
        if not flags & _USER_VERIFIED:
            raise Refusal("E_WA_UV")
        longer = len(data) > _FIXED_LENGTH
        if flags & _RESERVED_OR_ATTESTED or (flags & _IS_SYNCED and not flags & _MAY_SYNC):
            raise Refusal("E_WA_FLAGS")
        if longer != bool(flags & _HAS_EXTENSIONS):
            raise Refusal("E_WA_FLAGS")
        if bool(flags & _MAY_SYNC) != self.synced:
            raise Refusal("E_WA_SYNCED")


def challenge_of(data: bytes) -> bytes:
    """What the browser is asked to sign for a document: its SHA-256."""
    return hashlib.sha256(data).digest()


def public_key_text(key: PublicKey) -> str:
    """A passkey's public key as it is pinned: SubjectPublicKeyInfo in base64."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return _text(key.public_bytes(serialization.Encoding.DER, form))


def read_public_key(der: bytes) -> PublicKey:
    """ES256 (P-256), EdDSA (Ed25519) or RS256 (2048 bits or more), the kinds that browsers offer.

    Raises:
        Invalid: E_KEY.
    """
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid("E_KEY", "The passkey's public key cannot be read.") from error
    match key:
        case Ed25519PublicKey():
            return key
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
            return key
        case rsa.RSAPublicKey() if key.key_size >= _SHORTEST_RSA:
            return key
        case _:
            raise Invalid("E_KEY", "The passkey is of a kind that is not taken here.")


def _verify(key: PublicKey, signature: bytes, data: bytes) -> None:
    match key:
        case ec.EllipticCurvePublicKey():
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPublicKey():
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        case Ed25519PublicKey():
            key.verify(signature, data)
        case _:
            raise InvalidSignature


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not text")
    data = base64.b64decode(text, validate=True)
    if _text(data) != text:
        raise ValueError("not canonical base64")
    return data
