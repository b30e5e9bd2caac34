"""Arrays as Flower carries them (NumPy's file format 1 to 3), read without trusting their headers.

`numpy.load` allocates what a header claims before it looks at the data: a header of a hundred bytes that claims 8 TiB
ends the process. Here the claim must agree with the bytes that are there; nothing is allocated and nothing unpickled.
"""

from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np

from fedstudy_core.errors import Refusal

MAX_HEADER = 4096
MAX_DIMENSIONS = 32
_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
_KINDS = "biufc"


def read_npy(data: bytes | memoryview) -> np.ndarray:
    """The array of NumPy's file format, as a read-only view of the bytes.

    Raises:
        Refusal: E_REPLY when header and data do not agree, E_UPDATE_DTYPE when it does not hold plain numbers.
    """
    description, begin = _header(data)
    try:
        dtype = np.dtype(description["descr"])
    except (TypeError, ValueError) as error:
        raise _unreadable() from error
    if dtype.kind not in _KINDS:
        raise Refusal("E_UPDATE_DTYPE", "An array holds something other than plain numbers.")
    shape: tuple[int, ...] = description["shape"]
    if len(data) - begin != math.prod(shape) * dtype.itemsize:
        raise _unreadable()
    flat = np.frombuffer(data, dtype, offset=begin)
    try:
        return flat.reshape(shape, order="F" if description["fortran_order"] else "C")
    except ValueError as error:  # nothing at all, in a shape that no array can have
        raise _unreadable() from error


def _unreadable() -> Refusal:
    return Refusal("E_REPLY", "An array's description does not agree with its data.")


def _header(data: bytes | memoryview) -> tuple[dict[str, Any], int]:
    """The description of the array, and where its data begin."""
    length_bytes = _LENGTH_BYTES.get(data[6] if len(data) > 8 and bytes(data[:6]) == _MAGIC else 0)
    if length_bytes is None:
        raise _unreadable()
    begin = 8 + length_bytes
    end = begin + int.from_bytes(data[8:begin], "little")
    if end > min(len(data), MAX_HEADER):
        raise _unreadable()
    try:
        description = ast.literal_eval(bytes(data[begin:end]).decode("latin-1").strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise _unreadable() from error
    if not _is_sound(description):
        raise _unreadable()
    return description, end


def _is_sound(description: Any) -> bool:
    if not isinstance(description, dict) or set(description) != {"descr", "fortran_order", "shape"}:
        return False
    shape = description["shape"]
    return (
        isinstance(description["descr"], str)
        and isinstance(description["fortran_order"], bool)
        and isinstance(shape, tuple)
        and len(shape) <= MAX_DIMENSIONS
        and all(type(side) is int and 0 <= side < 2**48 for side in shape)
    )
