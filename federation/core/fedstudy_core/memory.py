"""How freed memory goes back to the system; only where the C library is glibc, elsewhere nothing is done.

glibc keeps freed blocks below a threshold in its heap, and raises the threshold up to 32 MiB with every larger block
that is freed. Blocks of 5 MiB, in which Flower moves arrays, then pile up in heaps with holes.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
LARGE = 4 * 1024 * 1024


def give_back_large_blocks(at_least: int = LARGE, *, keep: int | None = None) -> None:
    """Have blocks of so many bytes and more go back to the system when they are freed, for the rest of this process.

    Args:
        keep: bytes that may stay free at the heap's end, to be used again; as many as such a block has by default.
    """
    with suppress(AttributeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, at_least)
        library.mallopt(_TRIM_THRESHOLD, at_least if keep is None else keep)


def trim() -> None:
    """Give what is free in the heap back to the system now."""
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
