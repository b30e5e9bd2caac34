"""The public keys that a node brings when it enrols, and those of the people who sign at it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import ValidationError

from fedstudy_core.approvers import Approver, ApproverKey
from fedstudy_core.errors import Forbidden, Invalid
from fedstudy_core.keys import key_id, public_from_text, six_words
from fedstudy_core.statement import STANDING_POLICY


@dataclass(frozen=True)
class NodeKeys:
    """Public keys: `identity_key` and `approval_key` Ed25519 in Base64, `flower_key` P-384 as PEM."""

    identity_key: str
    flower_key: str
    approval_key: str

    @property
    def words(self) -> str:
        """The six words that both ends compare."""
        return six_words(self.identity_key, self.flower_key, self.approval_key)

    def check(self) -> None:
        """Raises Invalid E_KEY."""
        public_from_text(self.identity_key)
        public_from_text(self.approval_key)
        if self.identity_key == self.approval_key:
            raise Invalid("E_KEY", "The node's own key and the approver's key must not be the same.")
        try:
            key = load_pem_public_key(self.flower_key.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Invalid("E_KEY", "The node's Flower key cannot be read.") from error
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP384R1):
            raise Invalid("E_KEY", "The node's Flower key is not a P-384 key.")

    def check_proof(self, proof: str, token: str) -> None:
        """Raises Forbidden E_SIGNATURE unless the identity key signed the token (`proof` in Base64)."""
        try:
            public_from_text(self.identity_key).verify(base64.b64decode(proof, validate=True), token.encode())
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise Forbidden("E_SIGNATURE", "The node did not prove that it holds its key.") from error


def console_approver(name: str, approval_key: str) -> dict[str, Any]:
    """The approver that a new node brings, as `Node.approvers` holds them. Raises Invalid E_INVALID, E_KEY."""
    return _checked({"kind": "console", "name": name, "role": "site admin", "key": approval_key})


def checked_approvers(told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a node tells of its approvers, each with a key that can be read. Raises Invalid E_INVALID, E_KEY."""
    return [_checked(entry) for entry in told]


def signers(identity_key: str, approvers: Sequence[Mapping[str, Any]]) -> dict[str, Approver]:
    """Whose signature an approval of the node may bear: its approvers, and the node itself under a standing policy."""
    node = public_from_text(identity_key)
    itself = Approver(key_id(node), STANDING_POLICY, STANDING_POLICY, node)
    people = [ApproverKey.model_validate(entry).approver() for entry in approvers]
    return {approver.id: approver for approver in (*people, itself)}


def _checked(entry: Mapping[str, Any]) -> dict[str, Any]:
    try:
        approver = ApproverKey.model_validate(dict(entry))
    except ValidationError as error:
        raise Invalid("E_INVALID", "An approver of the node does not have the form.") from error
    approver.approver()
    return approver.model_dump()
