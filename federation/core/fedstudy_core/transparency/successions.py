"""Successions: a log that was lost goes on under another origin, and says of the old one where it ended.

The statement is a signed note of five lines: `fedstudy-succession/v1`, the old log's key, its last known size and root,
the new log's key. The new key signs it, and the old one where it is still there. It lets nothing pass by itself: people
of each site say at their node whether the site holds the log to the new origin from now on.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from fedstudy_core.errors import Refusal
from fedstudy_core.transparency.notes import LOG, Note, NoteKey
from fedstudy_core.transparency.tree import HASH_BYTES

HEADING = "fedstudy-succession/v1"
_LONGEST_SIZE = 16  # digits


@dataclass(frozen=True)
class Succession:
    """The old log as it was last known, and the key of the new one; a key's name is its log's origin."""

    old: NoteKey
    size: int
    root: bytes
    new: NoteKey

    @property
    def text(self) -> str:
        root = base64.b64encode(self.root).decode("ascii")
        return f"{HEADING}\n{self.old}\n{self.size}\n{root}\n{self.new}\n"

    @classmethod
    def parse(cls, text: str) -> Succession:
        """Raises Refusal E_NOTE, E_NOTE_KEY."""
        lines = text.split("\n")
        try:
            heading, old, size, root, new, end = lines
            known = size.isascii() and size.isdigit() and len(size) <= _LONGEST_SIZE
            found = cls(NoteKey.parse(old), int(size), base64.b64decode(root, validate=True), NoteKey.parse(new))
        except (ValueError, binascii.Error) as error:
            raise Refusal("E_NOTE") from error
        kinds = {found.old.kind, found.new.kind}
        if heading != HEADING or end or not known or len(found.root) != HASH_BYTES or kinds != {LOG}:
            raise Refusal("E_NOTE")
        if found.text != text or found.old.name == found.new.name:
            raise Refusal("E_NOTE")
        return found


def read(data: bytes) -> tuple[Succession, bool]:
    """A succession that its new log's key signed, and whether the old log's key signed it too.

    Raises:
        Refusal: E_NOTE, E_NOTE_KEY, E_NOTE_SIGNATURE.
    """
    note = Note.parse(data)
    found = Succession.parse(note.text)
    signed = note.signed_by([found.old, found.new])
    if found.new not in signed:
        raise Refusal("E_NOTE_SIGNATURE", f"The succession is not signed by {found.new.name}.")
    return found, found.old in signed
