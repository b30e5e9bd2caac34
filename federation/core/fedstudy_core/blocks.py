"""Looking through large arrays in blocks that stay in the processor's cache.

NumPy's own `isfinite(a).all()` or `square(a).sum()` makes an array as large as the first in between, which costs ten
times as long as the look itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

BLOCK = 64 * 1024


def is_finite(array: np.ndarray) -> bool:
    """Whether every number is finite; whole numbers always are."""
    return array.dtype.kind in "biu" or all(bool(np.isfinite(block).all()) for block in _blocks(array))


def sum_of_squares(array: np.ndarray) -> float:
    """The squares of all numbers, in 64 bits, added up; infinite or not a number when beyond all numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        return sum(float(np.square(block, dtype=np.float64).sum()) for block in _blocks(array))


def squared_distance(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> float:
    """The sum of squares of the differences between arrays of the same names and shapes, in 64 bits.

    Returns:
        Infinite or not a number when beyond all numbers.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return sum(_squared_difference(values, other[name]) for name, values in one.items())


def _squared_difference(one: np.ndarray, other: np.ndarray) -> float:
    total = 0.0
    for left, right in zip(_rows(one), _rows(other), strict=True):
        difference = left.astype(np.float64)
        difference -= right.astype(np.float64)
        total += float(np.square(difference, out=difference).sum())
    return total


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """The numbers in any order, a view where they lie together."""
    return _cut(array.ravel(order="K"))


def _rows(array: np.ndarray) -> Iterator[np.ndarray]:
    """The numbers in the order of their places."""
    return _cut(array.reshape(-1))


def _cut(flat: np.ndarray) -> Iterator[np.ndarray]:
    return (flat[begin : begin + BLOCK] for begin in range(0, len(flat), BLOCK))
