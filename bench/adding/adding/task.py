"""The model and the work on it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, UserConfig


def make_model(config: UserConfig) -> ArrayRecord:
    """So many random numbers in so many arrays: no two chunks of them are alike, so none is spared on the way."""
    random = np.random.default_rng(int(config["seed"]))
    parts = np.array_split(np.arange(int(config["numbers"])), int(config["arrays"]))
    return ArrayRecord(
        {f"part{place:04d}": Array(random.random(len(part), np.float32)) for place, part in enumerate(parts)}
    )


def add(model: ArrayRecord, node_id: int) -> ArrayRecord:
    """The model plus a number that no other site adds."""
    number = np.float32((node_id % 1000 + 1) / 1000)
    return ArrayRecord({name: Array(array.numpy() + number) for name, array in model.items()})


def mean(model: Mapping[str, Array]) -> float:
    """The mean of the arrays' means."""
    return float(np.mean([array.numpy().mean(dtype=np.float64) for array in model.values()]))


def weight(node_id: int) -> int:
    """How many rows the site says it has."""
    return node_id % 7 + 1
