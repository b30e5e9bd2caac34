"""Cosignatures of nodes, without the nodes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.models import Checkpoint
from fedstudy_core.transparency.notes import WITNESS, Note, NoteKey, cosign
from fedstudy_core.transparency.witnessing import witness_name

MADE_AT = 1_800_000_000


def key_of(node: UUID) -> Ed25519PrivateKey:
    """A node's key, always the same."""
    return Ed25519PrivateKey.from_private_bytes(node.bytes * 2)


def cosignature_of(
    node: UUID, checkpoint: Checkpoint, *, key: Ed25519PrivateKey | None = None, name: str = ""
) -> dict[str, Any]:
    """What a node hands in for a checkpoint; `key` and `name` are for those of somebody else."""
    signer, name = key or key_of(node), name or witness_name(str(node))
    line = cosign(Note.parse(checkpoint.note.encode()).text, name, signer, at=MADE_AT)
    public = NoteKey.of(name, WITNESS, signer.public_key())
    return {"key": str(public), "size": checkpoint.size, "cosignature": str(line)}
