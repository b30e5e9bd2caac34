"""The keys that count at a site, as the log says: of its nodes, and of the people who sign there."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fedstudy_verify.envelopes import Unfit
from fedstudy_verify.told import REGISTERED, Told

NODE = "node"
PATIENCE = timedelta(minutes=5)  # by how much the clocks of a node and of the portal may differ
_PRESENT_AND_VERIFIED, _HEAD = 0x05, 37


@dataclass
class Key:
    """A key, and while it counts.

    Attributes:
        facts: as the event of its registration tells them.
        withdrawn_at: when it stopped to count, by the portal's clock; None while it does.
    """

    facts: Mapping[str, Any]
    withdrawn_at: datetime | None = None

    @property
    def is_nodes(self) -> bool:
        return bool(self.facts["kind"] == NODE)

    def check(self, signature: bytes, data: bytes) -> None:
        """Raises Unfit unless this key made the signature of the data."""
        try:
            raw = base64.b64decode(self.facts["public"], validate=True)
            if self.facts["kind"] == "passkey":
                _check_passkey(self.facts, raw, signature, data)
            else:
                Ed25519PublicKey.from_public_bytes(raw).verify(signature, data)
        except (InvalidSignature, UnsupportedAlgorithm, KeyError, TypeError, ValueError, RecursionError) as error:
            raise Unfit(f"the signature by key {self.facts['key'][:12]} does not hold") from error


@dataclass
class Keys:
    """Of each node the keys by their ids, as the events read so far say."""

    _by_node: dict[str, dict[str, Key]] = field(default_factory=dict)

    def note(self, event: Told, facts: Mapping[str, Any]) -> None:
        """Take in what an event says of a key. Raises Unfit."""
        known = self._by_node.setdefault(event.object, {})
        if event.action == REGISTERED:
            _check_registered(facts)
            known[facts["key"]] = Key(facts)
        elif str(facts.get("key")) in known:
            known[facts["key"]].withdrawn_at = moment(event.at)

    def tells_of(self, node: str) -> bool:
        """Whether the events read so far say which keys count at the node."""
        return bool(self._by_node.get(node))

    def find(self, node: str, key: str, when: datetime | None = None) -> Key | None:
        """A key that counts there now, or did at that time by the node's clock; None where there is none."""
        found = self._by_node.get(node, {}).get(key)
        if found is None or found.withdrawn_at is None:
            return found
        return found if when is not None and when <= found.withdrawn_at + PATIENCE else None


def moment(text: Any) -> datetime:
    """A time in UTC. Raises Unfit."""
    try:
        found = datetime.fromisoformat(text)
        if found.utcoffset() != timedelta(0):
            raise ValueError("not UTC")
    except (ValueError, TypeError) as error:
        raise Unfit(f"“{str(text)[:40]}” is no time in UTC") from error
    return found


def _check_registered(facts: Mapping[str, Any]) -> None:
    """A key's id is the SHA-256 of the key."""
    try:
        raw = base64.b64decode(facts["public"], validate=True)
        if facts["key"] != sha256(raw).hexdigest() or facts["kind"] not in (NODE, "console", "passkey"):
            raise Unfit("the key that is registered is another one than it says")
    except (KeyError, TypeError, ValueError) as error:
        raise Unfit("the key that is registered cannot be read") from error


def _check_passkey(facts: Mapping[str, Any], public: bytes, signature: bytes, data: bytes) -> None:
    """Web Authentication Level 3, section 7.2: on the node's own page, the person present and verified, over this."""
    parts = json.loads(signature)
    authenticator, client, made = (
        base64.b64decode(parts[name], validate=True) for name in ("authenticatorData", "clientDataJSON", "signature")
    )
    told = json.loads(client)
    challenge = base64.urlsafe_b64encode(sha256(data).digest()).decode().rstrip("=")
    fits = (told["type"], told["origin"], told["challenge"]) == ("webauthn.get", facts["origin"], challenge)
    fits = fits and told.get("crossOrigin", False) is False and "topOrigin" not in told
    fits = fits and authenticator[:32] == sha256(facts["rp_id"].encode("idna")).digest()
    if not fits or len(authenticator) < _HEAD or authenticator[32] & _PRESENT_AND_VERIFIED != _PRESENT_AND_VERIFIED:
        raise ValueError("another ceremony")
    signed = authenticator + sha256(client).digest()
    match load_der_public_key(public):
        case ec.EllipticCurvePublicKey() as key:
            key.verify(made, signed, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPublicKey() as key:
            key.verify(made, signed, padding.PKCS1v15(), hashes.SHA256())
        case Ed25519PublicKey() as key:
            key.verify(made, signed)
        case _:
            raise ValueError("a key of another kind")
