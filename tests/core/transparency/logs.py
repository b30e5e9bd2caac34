"""Logs of made-up leaves, honest and otherwise, as a witness is shown them."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core.transparency.checkpoints import Checkpoint
from fedstudy_core.transparency.notes import LOG, Note, NoteKey, sign
from fedstudy_core.transparency.successions import Succession
from fedstudy_core.transparency.tree import consistency_spans, leaf_hash, root_of

ORIGIN = "portal.test/audit"
PRIVATE, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
KEY = NoteKey.of(ORIGIN, LOG, PRIVATE.public_key())


def leaves(count: int, *, other_from: int | None = None) -> list[bytes]:
    """Hashes of made-up leaves, other ones from some place on."""
    return [leaf_hash(b"%d %d" % (number, other_from is not None and number >= other_from)) for number in range(count)]


def note(hashes: list[bytes], *, key: Ed25519PrivateKey = PRIVATE, origin: str = ORIGIN) -> str:
    return str(Checkpoint(origin, len(hashes), root_of(hashes)).signed(key))


def proof(old: int, hashes: list[bytes]) -> list[bytes]:
    """What an honest log, or one that lies as well as it can, would prove."""
    if not 1 <= old <= len(hashes):
        return []
    return [root_of(hashes[start:end]) for start, end in consistency_spans(old, len(hashes))]


def succession() -> Succession:
    return Succession(KEY, 7, b"\x05" * 32, NoteKey.of("portal.test/audit/2", LOG, OTHER.public_key()))


def signed(found: Succession, *, by_old: bool) -> str:
    made = Note(found.text, (sign(found.text, found.new.name, OTHER),))
    return str(made.with_signatures(sign(found.text, ORIGIN, PRIVATE)) if by_old else made)
