"""Nodes, enrolled and confirmed by the services."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts.models import Site, User
from fedstudy_core.errors import Forbidden
from fedstudy_core.keys import generate, public_text
from fedstudy_core.rotation import Rotation
from nodes.registry.models import Node
from nodes.registry.services import confirm_node, enrol_node, expect_node, note_heartbeat, rotate_node


@dataclass
class Hardware:
    """What a node holds: its own keys."""

    identity: Ed25519PrivateKey
    flower: ec.EllipticCurvePrivateKey
    approval: Ed25519PrivateKey

    @classmethod
    def new(cls) -> Hardware:
        return cls(generate(), ec.generate_private_key(ec.SECP384R1()), generate())

    @property
    def keys(self) -> dict[str, str]:
        flower = self.flower.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return {
            "identity_key": public_text(self.identity.public_key()),
            "flower_key": flower.decode(),
            "approval_key": public_text(self.approval.public_key()),
        }

    def proof(self, token: str) -> str:
        return base64.b64encode(self.identity.sign(token.encode())).decode()

    def rotate(self, node: Node, new: Hardware, *, token: str = "") -> Node:
        """Replace the node's keys by those of another piece of hardware."""
        brought = {name: new.keys[name] for name in ("identity_key", "flower_key")}
        proofs = Rotation(str(node.pk), self.keys["identity_key"], **brought).prove(new.identity, new.flower)
        return rotate_node(node=node, keys=brought, proofs=proofs, token=token)

    def enrol(self, token: str) -> Node:
        return enrol_node(
            token=token,
            name="itself",
            keys=self.keys,
            approver="Demo Admin",
            proof=self.proof(token),
            agent_version="1.0",
        )


def pending_node(site: Site, admin: User, *, name: str = "node") -> tuple[Node, Hardware]:
    """A node that enrolled and waits for its six words to be compared."""
    _, token = expect_node(site=site, name=name, by=admin)
    hardware = Hardware.new()
    return hardware.enrol(token), hardware


def frozen_node(site: Site, admin: User, *, name: str = "node") -> tuple[Node, Hardware]:
    """A confirmed node whose key two agents used."""
    node, hardware = pending_node(site, admin, name=name)
    node = confirm_node(node=node, words=node.words, by=admin)
    for sequence, boot in enumerate(("a" * 32, "b" * 32, "a" * 32), start=1):
        with suppress(Forbidden):
            note_heartbeat(node=node, agent_version="1.0", sandbox="S1", status={}, boot=boot, sequence=sequence)
    return Node.objects.get(pk=node.pk), hardware


def active_node(site: Site, admin: User, *, name: str = "node") -> tuple[Node, Ed25519PrivateKey]:
    """A confirmed node, with the key by which its site approves."""
    node, hardware = pending_node(site, admin, name=name)
    return confirm_node(node=node, words=node.words, by=admin), hardware.approval
