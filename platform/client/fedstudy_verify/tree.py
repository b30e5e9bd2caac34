"""The right edge of a Merkle tree as RFC 9162 hashes it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

EMPTY = sha256().digest()


class Edge:
    """A tree that grows leaf by leaf, or by whole subtrees; only its right edge is kept."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, hash_: bytes, level: int = 0) -> None:
        """Add a leaf's hash, or that of a complete subtree of `1 << level` leaves.

        Raises:
            ValueError: no such subtree begins here.
        """
        count = self.size >> level
        if count << level != self.size:
            raise ValueError("no subtree of this size begins here")
        while count & 1:
            hash_ = sha256(b"\x01" + self._peaks.pop() + hash_).digest()
            count >>= 1
        self._peaks.append(hash_)
        self.size += 1 << level

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = sha256(b"\x01" + peak + root).digest()
        return root


def levels(start: int, end: int) -> list[int]:
    """The levels of the fewest complete subtrees over the leaves from `start` up to `end`, from left to right."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        while start & ((1 << level) - 1):
            level -= 1
        found.append(level)
        start += 1 << level
    return found


def root_above(index: int, size: int, hash_: bytes, proof: Sequence[bytes]) -> bytes:
    """The root to which an inclusion proof leads from a leaf of a tree of `size`; nothing where it does not fit.

    RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return b""
    at, last = index, size - 1
    for other in proof:
        if not last:
            return b""
        if at & 1 or at == last:
            hash_ = sha256(b"\x01" + other + hash_).digest()
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            hash_ = sha256(b"\x01" + hash_ + other).digest()
        at, last = at >> 1, last >> 1
    return b"" if last else hash_
