"""How a node proves that it holds the new keys with which it replaces its own."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from fedstudy_core import canonical
from fedstudy_core.errors import FedStudyError, Forbidden
from fedstudy_core.keys import public_from_text

_DOMAIN = b"fedstudy-rotation-v1\n"


@dataclass(frozen=True)
class Rotation:
    """New keys for a node, and the one that they replace; keys as at enrolment."""

    node: str
    old_identity_key: str
    identity_key: str
    flower_key: str

    def prove(self, identity: Ed25519PrivateKey, flower: EllipticCurvePrivateKey) -> dict[str, str]:
        """The signatures of both new private keys over this rotation, in Base64."""
        signatures = {
            "identity_proof": identity.sign(self._signed()),
            "flower_proof": flower.sign(self._signed(), ECDSA(SHA384())),
        }
        return {name: base64.b64encode(signature).decode("ascii") for name, signature in signatures.items()}

    def check(self, *, identity_proof: str, flower_proof: str) -> None:
        """Raises Forbidden E_SIGNATURE unless both new private keys signed this very rotation."""
        try:
            flower = load_pem_public_key(self.flower_key.encode())
            if not isinstance(flower, EllipticCurvePublicKey):
                raise ValueError("not an elliptic-curve key")
            public_from_text(self.identity_key).verify(base64.b64decode(identity_proof, validate=True), self._signed())
            flower.verify(base64.b64decode(flower_proof, validate=True), self._signed(), ECDSA(SHA384()))
        except (InvalidSignature, UnsupportedAlgorithm, binascii.Error, ValueError, FedStudyError) as error:
            raise Forbidden("E_SIGNATURE", "The node did not prove that it holds its new keys.") from error

    def _signed(self) -> bytes:
        return _DOMAIN + canonical.dumps(vars(self))
