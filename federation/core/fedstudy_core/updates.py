"""Checks of what comes from a site, before any strategy sees it.

Flower's strategies average NaN, take any shape and weights of 1e12 or -9 (flwr 1.41); so nothing reaches them that does
not have the model's own names, shapes and dtypes, finite values and a plausible weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fedstudy_core.blocks import is_finite, sum_of_squares
from fedstudy_core.errors import Refusal
from fedstudy_core.spool import let_go

Schema = dict[str, tuple[tuple[int, ...], str]]

DTYPES = frozenset({"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"})
MAX_METRICS = 200
MAX_LIST = 10_000
MAX_NAME = 100


def schema_of(arrays: Mapping[str, np.ndarray]) -> Schema:
    """Name of each array: its shape and dtype."""
    return {name: (tuple(array.shape), str(array.dtype)) for name, array in arrays.items()}


def check_update(
    arrays: Mapping[str, np.ndarray],
    schema: Schema,
    *,
    examples: int | float,
    max_examples: int,
    max_norm: float | None = None,
) -> None:
    """Refuse an update that does not fit the model.

    Args:
        schema: of the model that was sent out.
        examples: the update's weight in the average: a whole number of rows from 1 to `max_examples`.
        max_norm: bound on the L2 norm over all arrays; None for no bound.

    Raises:
        Refusal: E_UPDATE_NAMES, E_UPDATE_DTYPE, E_UPDATE_SHAPE, E_UPDATE_NOT_FINITE, E_UPDATE_WEIGHT, E_UPDATE_NORM.
    """
    if list(arrays) != list(schema):
        raise Refusal("E_UPDATE_NAMES", f"Expected the arrays {_few(schema)}; got {_few(arrays)}.")
    for name, array in arrays.items():
        shape, dtype = tuple(schema[name][0]), schema[name][1]  # a schema read back from JSON has lists
        if str(array.dtype) != dtype or dtype not in DTYPES:
            raise Refusal("E_UPDATE_DTYPE", f"“{name}” is {array.dtype}; expected {dtype}.")
        if tuple(array.shape) != shape:
            raise Refusal("E_UPDATE_SHAPE", f"“{name}” has shape {tuple(array.shape)}; expected {shape}.")
        if not is_finite(array):
            raise Refusal("E_UPDATE_NOT_FINITE", f"“{name}” holds values that are not finite.")
        let_go(array)
    check_weight(examples, max_examples)
    if max_norm is not None:
        norm = math.sqrt(sum(map(sum_of_squares, arrays.values())))  # beyond all numbers it is infinite, and too large
        if norm > max_norm:
            raise Refusal("E_UPDATE_NORM", f"The update's norm is {norm:.3g}; at most {max_norm:.3g} is allowed.")


def check_weight(examples: object, max_examples: int) -> int:
    """The weight as a whole number of rows. Raises Refusal E_UPDATE_WEIGHT unless it is one from 1 to the bound."""
    number = examples if isinstance(examples, int | float) and not isinstance(examples, bool) else 0
    if not 1 <= number <= max_examples or number != int(number):
        raise Refusal("E_UPDATE_WEIGHT", f"The update's weight is {examples!r}; expected 1 to {max_examples} rows.")
    return int(number)


def check_metrics(metrics: Mapping[str, object]) -> None:
    """Refuse metrics that are not plain finite numbers or short lists of them.

    Raises:
        Refusal: E_METRICS_SIZE, E_METRICS_TYPE, E_METRICS_NOT_FINITE.
    """
    if len(metrics) > MAX_METRICS:
        raise Refusal("E_METRICS_SIZE", f"{len(metrics)} metrics; at most {MAX_METRICS} are taken.")
    for name, value in metrics.items():
        if len(name) > MAX_NAME or not name.isprintable():
            raise Refusal("E_METRICS_SIZE", f"A metric's name has at most {MAX_NAME} plain characters.")
        values = value if isinstance(value, list) else [value]
        if len(values) > MAX_LIST:
            raise Refusal("E_METRICS_SIZE", f"“{name}” has {len(values)} values; at most {MAX_LIST} are taken.")
        for item in values:
            if isinstance(item, bool) or not isinstance(item, int | float):
                raise Refusal("E_METRICS_TYPE", f"“{name}” is not a number.")
            if not math.isfinite(item):
                raise Refusal("E_METRICS_NOT_FINITE", f"“{name}” is not finite.")


def _few(names: Mapping[str, object], most: int = 5) -> str:
    shown = ", ".join(name[:MAX_NAME] for name in list(names)[:most]) or "none"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
