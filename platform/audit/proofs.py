"""What the log shows of itself: its checkpoints, and proofs that an event is in it and that it only grew."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from audit import stored_tree
from audit.models import Checkpoint, Event, Leaf, LogKey, Succession
from fedstudy_core.errors import Conflict, Invalid
from fedstudy_core.transparency.checkpoints import proof_text
from fedstudy_core.transparency.leaves import SALT_BYTES, BoundText, names_text


@dataclass(frozen=True)
class BoundTexts:
    """What a leaf commits to; events of before there was one have no context."""

    names: BoundText
    detail: BoundText
    context: BoundText | None


@dataclass(frozen=True)
class Proof:
    """That an event is in the log that a checkpoint signs.

    Attributes:
        position: of its leaf, counted from 0.
        leaf: the leaf's canonical JSON.
        texts: that the leaf commits to.
        hashes: the inclusion proof, from the leaf up.
        checkpoint: the signed note.
    """

    position: int
    leaf: str
    texts: BoundTexts
    hashes: list[bytes]
    checkpoint: Checkpoint

    @property
    def as_file(self) -> str:
        """The proof as C2SP's tlog-proof writes it."""
        return proof_text(self.position, self.hashes, self.checkpoint.note)


def log_key() -> str:
    """The key that signs now, as `name+id+key`; empty before the log has begun."""
    return LogKey.objects.values_list("key", flat=True).first() or ""


def size_signed() -> int:
    """Events in the log at its newest checkpoint; 0 before the first."""
    return Checkpoint.objects.values_list("size", flat=True).first() or 0


def succession() -> str:
    """The signed note by which the log goes on from one before; empty where there was none."""
    return Succession.objects.values_list("note", flat=True).first() or ""


def succeeding_origin() -> str:
    """The origin under which the log went on last; empty where it always had the one of the settings."""
    return Succession.objects.values_list("origin", flat=True).first() or ""


def latest_checkpoint() -> Checkpoint:
    """Raises Conflict E_LOG_BEHIND when nothing is signed yet."""
    found = Checkpoint.objects.first()
    if found is None:
        raise Conflict("E_LOG_BEHIND", "The log has signed nothing yet.")
    return found


def texts_of(event: Event) -> BoundTexts:
    """What the event's leaf commits to, with the salts."""
    salt, named = bytes(event.salt), (event.actor_label, event.object_label)
    return bound_texts(salt, *named, detail=event.detail, context=event.context)


def bound_texts(salt: bytes, actor: str, object_: str, *, detail: str, context: str) -> BoundTexts:
    """The labels of actor and object, the detail and the context of an event, each with its part of the salt."""
    first, second, third = (salt[at * SALT_BYTES : (at + 1) * SALT_BYTES] for at in range(3))
    bound = BoundText(third, context) if context else None
    return BoundTexts(BoundText(first, names_text(actor, object_)), BoundText(second, detail), bound)


def encoded(hashes: list[bytes]) -> list[str]:
    """Hashes as programs are told them, in base64."""
    return [base64.b64encode(hash_).decode("ascii") for hash_ in hashes]


def proof_of(event: Event, witnessed: Checkpoint | None = None) -> Proof:
    """The event's proof against the newest checkpoint, or against one that is witnessed where that has the event.

    Raises:
        Conflict: E_LOG_BEHIND, it has no place yet, or none that is signed.
    """
    leaf = Leaf.objects.filter(event=event.pk).first()
    checkpoint = latest_checkpoint()
    if leaf is not None and witnessed is not None and leaf.position < witnessed.size:
        checkpoint = witnessed
    if leaf is None or leaf.position >= checkpoint.size:
        raise Conflict("E_LOG_BEHIND")
    hashes = stored_tree.inclusion_proof(leaf.position, checkpoint.size)
    return Proof(leaf.position, leaf.body, texts_of(event), hashes, checkpoint)


def consistency(old: int, new: int) -> list[bytes]:
    """The proof that the log at size `new` begins with the log at size `old`.

    Raises:
        Invalid: E_INVALID for sizes that it never had, or not in this order.
    """
    if not 1 <= old <= new <= stored_tree.size():
        raise Invalid("E_INVALID", "The log never had these sizes one after the other.")
    return stored_tree.consistency_proof(old, new)
