"""Checkpoints: what a log says of itself at one size, in three lines that it signs (C2SP tlog-checkpoint)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core.errors import Refusal
from fedstudy_core.transparency.notes import Note, NoteKey, sign
from fedstudy_core.transparency.tree import HASH_BYTES

_LONGEST_SIZE = 16  # digits
_LINES = 3
_PROOF = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Checkpoint:
    """A log's size and root at one moment.

    Attributes:
        origin: which log it is.
        size: number of leaves.
        root: 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a checkpoint; further lines are passed over. Raises Refusal E_NOTE."""
        lines = text.split("\n")
        if len(lines) <= _LINES or lines[-1]:
            raise Refusal("E_NOTE")
        origin, size, encoded = lines[:_LINES]
        try:
            root = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise Refusal("E_NOTE") from error
        is_number = size.isascii() and size.isdigit() and len(size) <= _LONGEST_SIZE and size == str(int(size))
        found = cls(origin, int(size), root) if is_number else None
        if found is None or not origin or len(root) != HASH_BYTES or not text.startswith(found.text):
            raise Refusal("E_NOTE")
        return found

    def signed(self, key: Ed25519PrivateKey) -> Note:
        """The note that the log shows: this checkpoint, signed by the log's key in the name of its origin."""
        return Note(self.text, (sign(self.text, self.origin, key),))


def read(data: bytes, key: NoteKey) -> tuple[Checkpoint, Note]:
    """A checkpoint that the log of this key signed, and the note around it.

    Raises:
        Refusal: E_NOTE, E_NOTE_SIGNATURE.
    """
    note = Note.parse(data)
    if key not in note.signed_by([key]):
        raise Refusal("E_NOTE_SIGNATURE", f"The checkpoint is not signed by {key.name}.")
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != key.name:
        raise Refusal("E_NOTE_SIGNATURE", "The checkpoint is of another log.")
    return checkpoint, note


def proof_text(index: int, proof: Sequence[bytes], checkpoint: str) -> str:
    """A proof that stands for itself (C2SP tlog-proof): the leaf's index, its proof, the signed checkpoint."""
    hashes = [base64.b64encode(hash_).decode("ascii") for hash_ in proof]
    return "\n".join([_PROOF, f"index {index}", *hashes, "", checkpoint])
