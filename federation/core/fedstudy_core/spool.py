"""Where large bodies lie while they are on their way, so that a process holds no more of them than it looks at.

A `Spool` is a file without a name, which nobody else can open and which is gone with its last reader. What was written
is read as views of a mapping: pages come into memory when they are looked at, and `let_go` gives them back. Where
there is no disk to use, an `Arena` is memory that can go back to the system in parts.
"""

import mmap
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol

LARGE = 1024 * 1024
_AT_ONCE = 1024 * 1024

Data = bytes | bytearray | memoryview


class Mapped(mmap.mmap):
    """The bytes of a file that nobody changes any more."""


class Spool:
    """Bytes in a file without a name: written one after the other, then read as views.

    Args:
        folder: where the file lies.
        room: bytes that are set aside at once.

    Raises:
        OSError: there is no room.
    """

    def __init__(self, folder: Path, *, room: int = 0) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed when it is mapped
        if room:
            os.posix_fallocate(self._file.fileno(), 0, room)
        self.room = room
        self._buffer = memoryview(b"")
        self.size = 0

    def write(self, data: Data) -> None:
        """Add bytes at the end. Raises OSError when there is no room."""
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        self.size += len(data)

    def next_part(self) -> memoryview:
        """Memory to read a next part into, of those bytes that were set aside."""
        if not len(self._buffer):
            self._buffer = memoryview(bytearray(_AT_ONCE))
        return self._buffer[: self.room - self.size]

    def took(self, count: int) -> None:
        """So many bytes of `next_part` were filled."""
        self.write(self._buffer[:count])

    def close(self) -> None:
        """Nothing can be added any more."""
        self._file.close()

    def whole(self) -> memoryview:
        """All that was written, read-only; nothing can be added any more."""
        with self._file as file:
            return memoryview(Mapped(file.fileno(), self.size, access=mmap.ACCESS_READ) if self.size else b"")


class Memory:
    """As a spool, in memory."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def size(self) -> int:
        """Bytes written."""
        return len(self._bytes)

    def write(self, data: Data) -> None:
        """Add bytes at the end."""
        self._bytes += data

    def close(self) -> None:
        """Nothing is held open."""

    def whole(self) -> memoryview:
        """All that was written, read-only; nothing can be added any more."""
        return memoryview(self._bytes).toreadonly()


class Source(Protocol):
    """Where bytes come from, one part after the other."""

    @property
    def left(self) -> int:
        """How many there are yet."""

    def read(self, count: int) -> bytes | memoryview:
        """The next bytes, so many of those that are left."""


class Lying:
    """Bytes that are there; parts are views of them."""

    def __init__(self, data: Data) -> None:
        self._view, self._at = memoryview(data).toreadonly(), 0

    @property
    def left(self) -> int:
        """How many there are yet."""
        return len(self._view) - self._at

    def read(self, count: int) -> memoryview:
        """The next bytes."""
        self._at += count
        return self._view[self._at - count : self._at]


class Arena:
    """So many bytes of memory of their own, filled one after the other."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._map = mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # only faster; the system may have no large pages
            self._map.madvise(mmap.MADV_HUGEPAGE)
        self.size = 0

    def next_part(self) -> memoryview:
        """Memory to read a next part into."""
        return memoryview(self._map)[self.size : self.size + _AT_ONCE]

    def took(self, count: int) -> None:
        """So many bytes of `next_part` were filled."""
        self.size += count

    def whole(self) -> memoryview:
        """All of it."""
        return memoryview(self._map)


def let_go(*looked_at: object) -> None:
    """Give back the memory of files that these bytes or arrays are views of. They can still be read."""
    for mapped in {id(mapped): mapped for mapped in map(mapping_of, looked_at)}.values():
        if isinstance(mapped, Mapped):
            mapped.madvise(mmap.MADV_DONTNEED)


def mapping_of(view: object) -> mmap.mmap | None:
    """The mapping that bytes or an array are a view of; None where they lie elsewhere."""
    while view is not None and not isinstance(view, mmap.mmap):
        view = view.obj if isinstance(view, memoryview) else getattr(view, "base", None)
    return view
