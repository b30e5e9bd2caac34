"""An authenticator in software, with a browser around it: ES256, EdDSA and RS256, and any lie that a test asks for."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core.approvers import ApproverKey, Role
from fedstudy_core.passkeys import Assertion, Passkey, challenge_of, public_key_text

Kind = Literal["ES256", "EdDSA", "RS256"]
KINDS: tuple[Kind, ...] = ("ES256", "EdDSA", "RS256")
RP_ID, ORIGIN = "localhost", "http://localhost:8601"
PRESENT, VERIFIED, MAY_SYNC, IS_SYNCED, ATTESTED, EXTENSIONS = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey


def base64url(data: bytes) -> str:
    """Bytes as browsers write them."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def make_key(kind: Kind) -> PrivateKey:
    """A fresh key."""
    if kind == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048) if kind == "RS256" else Ed25519PrivateKey.generate()


@dataclass
class SoftPasskey:
    """One passkey on one device. `count` stays at 0 where the device does not count."""

    kind: Kind = "ES256"
    rp_id: str = RP_ID
    origin: str = ORIGIN
    synced: bool = False
    counts: bool = True
    count: int = 0
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def __post_init__(self) -> None:
        self.key = make_key(self.kind)

    @property
    def passkey(self) -> Passkey:
        """As a node verifies it."""
        return Passkey(self.key.public_key(), self.rp_id, self.origin, self.synced)

    def entry(self, name: str = "Ada Lovelace", role: Role = "site admin") -> ApproverKey:
        """As a node pins it."""
        return ApproverKey(
            kind="passkey",
            name=name,
            role=role,
            key=public_key_text(self.key.public_key()),
            rp_id=self.rp_id,
            origin=self.origin,
            credential=base64url(self.credential),
            synced=self.synced,
        )

    def flags(self) -> int:
        """The flags of an honest ceremony."""
        return PRESENT | VERIFIED | (MAY_SYNC | IS_SYNCED if self.synced else 0)

    def assertion(self, data: bytes, *, client: Mapping[str, Any] | None = None, **lies: Any) -> Assertion:
        """Sign a document. `client` replaces what the browser says; lies are `rp_id`, `flags`, `tail`, `count`."""
        self.count += self.counts
        said = {"type": "webauthn.get", "challenge": base64url(challenge_of(data)), "origin": self.origin}
        words = {**said, "crossOrigin": False, **(client or {})}
        client_data = json.dumps({name: value for name, value in words.items() if value is not None}).encode()
        authenticator_data = (
            hashlib.sha256(lies.get("rp_id", self.rp_id).encode()).digest()
            + bytes([lies.get("flags", self.flags())])
            + lies.get("count", self.count).to_bytes(4, "big")
            + lies.get("tail", b"")
        )
        return Assertion(
            authenticator_data,
            client_data,
            self._sign(authenticator_data + hashlib.sha256(client_data).digest()),
        )

    def answer(self, assertion: Assertion) -> dict[str, Any]:
        """An assertion as our page's script sends it."""
        return {
            "id": base64url(self.credential),
            "rawId": base64url(self.credential),
            "type": "public-key",
            "response": {
                "authenticatorData": base64url(assertion.authenticator_data),
                "clientDataJSON": base64url(assertion.client_data),
                "signature": base64url(assertion.signature),
            },
        }

    def sign_challenge(self, challenge: str, **lies: Any) -> dict[str, Any]:
        """Sign a challenge that the node gave (base64url)."""
        client = {"challenge": challenge, **lies.pop("client", {})}
        return self.answer(self.assertion(b"", client=client, **lies))

    def created(self, options: Mapping[str, Any], *, client: Mapping[str, Any] | None = None, **lies: Any) -> Any:
        """Answer `navigator.credentials.create`, as our page's script sends it. A lie may be `flags` or `rp_id`."""
        said = {"type": "webauthn.create", "challenge": options["challenge"], "origin": self.origin}
        client_data = json.dumps({**said, "crossOrigin": False, **(client or {})}).encode()
        authenticator_data = (
            hashlib.sha256(lies.get("rp_id", self.rp_id).encode()).digest()
            + bytes([lies.get("flags", self.flags()) | ATTESTED])
            + self.count.to_bytes(4, "big")
            + bytes(16)
            + len(self.credential).to_bytes(2, "big")
            + self.credential
            + cbor2.dumps(self._cose())
        )
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": authenticator_data})
        return {
            "id": base64url(self.credential),
            "rawId": base64url(self.credential),
            "type": "public-key",
            "response": {"clientDataJSON": base64url(client_data), "attestationObject": base64url(attestation)},
        }

    def cose(self) -> bytes:
        """The public key as authenticators write it."""
        return bytes(cbor2.dumps(self._cose()))

    def _cose(self) -> dict[int, int | bytes]:
        match self.key:
            case ec.EllipticCurvePrivateKey():
                point = self.key.public_key().public_numbers()
                return {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
            case rsa.RSAPrivateKey():
                numbers = self.key.public_key().public_numbers()
                return {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: numbers.e.to_bytes(3, "big")}
            case _:
                return {1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes_raw()}

    def _sign(self, data: bytes) -> bytes:
        match self.key:
            case ec.EllipticCurvePrivateKey():
                return self.key.sign(data, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPrivateKey():
                return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
            case _:
                return self.key.sign(data)
