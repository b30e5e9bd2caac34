"""Which arrays of a model are trained, and which are counted along: BatchNorm's buffers and whole numbers.

PyTorch's BatchNorm keeps `running_mean`, `running_var` and `num_batches_tracked` among its arrays. Training never
takes a gradient of them, so a server's optimiser must not step them: Adam on a running variance can make it
negative, and its root NaN. `conduct` says what becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BATCH_NORM = frozenset({"running_mean", "running_var", "num_batches_tracked"})


def is_whole(array: np.ndarray) -> bool:
    """Whether the array holds whole numbers or truth values."""
    return array.dtype.kind != "f"


def is_buffer(name: str, array: np.ndarray) -> bool:
    return is_whole(array) or name.rpartition(".")[2] in BATCH_NORM


def mean(arrays: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """The weighted mean, in 64-bit floats."""
    total = sum(weights)
    return np.asarray(
        sum(array.astype(np.float64) * (weight / total) for array, weight in zip(arrays, weights, strict=True))
    )


def median(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.asarray(np.median(np.stack([array.astype(np.float64) for array in arrays]), axis=0))


def narrowed(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The values in the model's own number type: rounded where that is whole, and held within its range."""
    if dtype.kind == "f":
        limit = np.finfo(dtype).max
        return np.asarray(np.clip(values, -limit, limit).astype(dtype))
    if dtype.kind == "b":
        return np.asarray(np.rint(values).astype(dtype))
    low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    if int(high) > np.iinfo(dtype).max:
        high = float(np.nextafter(high, 0))
    return np.asarray(np.clip(np.rint(values), low, high).astype(dtype))
