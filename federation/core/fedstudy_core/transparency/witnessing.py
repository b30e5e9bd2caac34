"""What a witness holds a log to: each checkpoint that it is shown begins with the one that it saw before.

A witness remembers one checkpoint. Whoever shows it a smaller tree, or one that does not begin with that, has lost or
changed what others were told, and gets no signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedstudy_core.errors import Refusal
from fedstudy_core.transparency import checkpoints
from fedstudy_core.transparency.checkpoints import Checkpoint
from fedstudy_core.transparency.notes import Note, NoteKey
from fedstudy_core.transparency.tree import is_consistent

REFUSALS = ("E_LOG_FORK", "E_LOG_ROLLBACK", "E_LOG_ORIGIN", "E_NOTE", "E_NOTE_SIGNATURE")


@dataclass(frozen=True)
class Held:
    """The newest checkpoint that a witness holds a log to, as the log's key signed it."""

    key: NoteKey
    note: str

    @property
    def checkpoint(self) -> Checkpoint:
        """Raises Refusal E_NOTE."""
        return checkpoints.read(self.note.encode(), self.key)[0]


def follow(key: NoteKey, held: Held | None, offered: str, proof: Sequence[bytes]) -> Checkpoint:
    """The checkpoint that is offered, when it is signed by this key and goes on from the one that is held.

    Args:
        proof: that the tree offered begins with the tree held; empty where nothing is held, or the size is the same.

    Raises:
        Refusal: E_NOTE, E_NOTE_SIGNATURE, E_LOG_ORIGIN, E_LOG_ROLLBACK, E_LOG_FORK.
    """
    data = offered.encode("utf-8", "replace")
    if Checkpoint.parse(Note.parse(data).text).origin != key.name:
        raise Refusal("E_LOG_ORIGIN")
    new, _ = checkpoints.read(data, key)
    if held is None:
        return new
    old = held.checkpoint
    if new.size < old.size:
        raise Refusal("E_LOG_ROLLBACK", f"The log has {new.size} events; it had {old.size} before.")
    if not is_consistent(old.size, old.root, new.size, new.root, proof):
        raise Refusal("E_LOG_FORK", f"The log of {new.size} events does not begin with that of {old.size} seen before.")
    return new


def witness_name(node: str) -> str:
    """The name in which a node cosigns."""
    return f"fedstudy-node/{node}"


def quorum_of(sites: int) -> int:
    """How many of this many sites must have cosigned: two thirds of them, and two at least."""
    return max(2, -(-2 * sites // 3))


def witnessed(sizes: Sequence[int], quorum: int) -> int:
    """The size up to which the log has a quorum: as many witnesses hold it to a tree of that size or larger.

    A tree that a witness cosigned binds everything before it as well, so witnesses need not have signed the same one.

    Args:
        sizes: the largest size that each witness cosigned.
    """
    ranked = sorted(sizes, reverse=True)
    return ranked[quorum - 1] if 0 < quorum <= len(ranked) else 0
