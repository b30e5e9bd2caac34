"""The Merkle tree of RFC 9162, section 2.1: hashes, the growing edge, and which subtrees a proof is made of.

A node is named by its level (0 for leaves) and its place from the left: it stands over the leaves from
`place << level` up to `(place + 1) << level`. Hashes are 32 bytes. Who keeps the hashes is not said here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()

Place = tuple[int, int]
Span = tuple[int, int]


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash over neighbouring subtrees, the largest first: the root that they have together."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over these leaves."""
    edge = Edge()
    for hash_ in leaf_hashes:
        edge.append(hash_)
    return edge.root()


@dataclass
class Edge:
    """The right edge of a growing tree: all that must be kept to add leaves and to know the root.

    Attributes:
        size: how many leaves there are.
        hashes: of the largest complete subtrees from left to right, one for each binary one of `size`.
    """

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def append(self, hash_: bytes) -> None:
        """Add a leaf by its hash."""
        self.append_subtree(0, hash_)

    def append_subtree(self, level: int, hash_: bytes) -> None:
        """Add the `1 << level` leaves of a complete subtree by its hash.

        Raises:
            ValueError: a subtree of this size cannot stand here.
        """
        if self.size & ((1 << level) - 1):
            raise ValueError(f"no subtree of level {level} begins at {self.size}")
        count = self.size >> level
        while count & 1:
            hash_ = node_hash(self.hashes.pop(), hash_)
            count >>= 1
        self.hashes.append(hash_)
        self.size += 1 << level

    def root(self) -> bytes:
        return fold(self.hashes)


def subtrees(start: int, end: int) -> list[Place]:
    """The fewest complete subtrees over the leaves from `start` up to `end`, from left to right."""
    found: list[Place] = []
    while start < end:
        level = min((start & -start).bit_length() - 1 if start else end.bit_length(), (end - start).bit_length() - 1)
        found.append((level, start >> level))
        start += 1 << level
    return found


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Over which leaves the hashes of an inclusion proof stand, in the proof's order (from the leaf up).

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} among {size}")
    start, end, spans = 0, size, list[Span]()
    while end - start > 1:
        middle = start + _half(end - start)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(old: int, size: int) -> list[Span]:
    """Over which leaves the hashes of a consistency proof stand, in the proof's order.

    Raises:
        ValueError: `old` is not between 1 and `size`.
    """
    if not 1 <= old <= size:
        raise ValueError(f"a tree of {size} leaves cannot be compared with one of {old}")
    start, end, spans, is_known = 0, size, list[Span](), True
    while old < end:
        middle = start + _half(end - start)
        if old <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start, is_known = middle, False
    return ([] if is_known else [(start, end)]) + spans[::-1]


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether a proof shows that the leaf of this hash is the one at `index` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, hash_ = index, size - 1, leaf
    for other in proof:
        if last == 0 or len(other) != HASH_BYTES:
            return False
        if place & 1 or place == last:
            hash_ = node_hash(other, hash_)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            hash_ = node_hash(hash_, other)
        place, last = place >> 1, last >> 1
    return last == 0 and hash_ == root


def is_consistent(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the tree of `size` leaves begins with that of `old` leaves (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= size:
        return False
    if old in (0, size):  # every tree begins with the empty one and with itself
        return not proof and old_root == (root if old else EMPTY_ROOT)
    if not old & (old - 1):
        proof = [old_root, *proof]
    if not proof or any(len(hash_) != HASH_BYTES for hash_ in proof):
        return False
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = proof[0]
    for other in proof[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(other, before), node_hash(other, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, other)
        place, last = place >> 1, last >> 1
    return last == 0 and before == old_root and after == root


def _half(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)
