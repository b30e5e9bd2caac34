"""Which rows of a dataset a consent is about: those for training, and of them those that fit its conditions."""

import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow
import pyarrow.compute as pc

from fedstudy_core.errors import Refusal
from fedstudy_core.pooling.profile import Condition, Holdout, Plain
from fedstudy_node.holdout import split_indices

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COMPARE = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def column(table: pyarrow.Table, name: str) -> pyarrow.ChunkedArray:
    """Return a column. Raises Refusal (E_POOL_COLUMNS) where there is none, or two."""
    if table.column_names.count(name) != 1:
        raise Refusal("E_POOL_COLUMNS", f"The dataset has no column “{name}”, or several.")
    return table.column(name)


def training_rows(table: pyarrow.Table, holdout: Holdout) -> pyarrow.Table:
    """Return the rows that scripts train on, in their order: those that leave are never ones that models are tested on.

    Raises Refusal (E_POOL_COLUMNS, E_PROFILE).
    """
    whole = table
    for name in holdout.complete:
        whole = whole.filter(_is_present(column(whole, name)))
    labels = matches(whole, holdout.label).astype(np.float64)
    try:
        train, _ = split_indices(labels, train=float(holdout.train), seed=holdout.seed)
    except ValueError as error:
        raise Refusal("E_PROFILE", f"No rows can be set aside for training: {error}.") from error
    return whole.take(pyarrow.array(train))


def chosen_rows(table: pyarrow.Table, conditions: list[Condition]) -> pyarrow.Table:
    """Return the rows that fit all conditions; a missing value fits none. Raises Refusal as `training_rows`."""
    for condition in conditions:
        table = table.filter(pyarrow.array(matches(table, condition)))
    return table


def matches(table: pyarrow.Table, condition: Condition) -> "NDArray[np.bool_]":
    """Say for each row whether it fits a condition. Raises Refusal (E_POOL_COLUMNS, E_PROFILE)."""
    values = column(table, condition.column)
    if isinstance(condition.value, list):
        wanted = [_scalar(values.type, value, condition) for value in condition.value]
        found = [_compared("=", values, one) for one in wanted]
        return np.array(np.logical_or.reduce(found), dtype=np.bool_)
    return _compared(condition.op, values, _scalar(values.type, condition.value, condition))


def _compared(op: str, values: pyarrow.ChunkedArray, wanted: pyarrow.Scalar) -> "NDArray[np.bool_]":
    if pyarrow.types.is_integer(values.type) and pyarrow.types.is_floating(wanted.type):
        values = values.cast(pyarrow.float64())
    found = pc.fill_null(_COMPARE[op](values, wanted), fill_value=False)
    if pyarrow.types.is_floating(values.type):
        found = pc.and_(found, _is_present(values))  # NaN is missing, and unlike everything
    fits: NDArray[np.bool_] = found.to_numpy()
    return fits


def _is_present(values: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    return pc.invert(pc.is_null(values, nan_is_null=True))


def _scalar(kind: pyarrow.DataType, value: Plain, condition: Condition) -> pyarrow.Scalar:
    """Return a condition's value as the column's type has it. Raises Refusal (E_PROFILE)."""
    fits: Any = None
    match value:
        case bool():
            fits = pyarrow.scalar(value) if pyarrow.types.is_boolean(kind) else None
        case int():
            fits = pyarrow.scalar(value) if _is_number(kind) else None
        case str() if _is_number(kind):
            fits = _number(value)
        case str() if pyarrow.types.is_date(kind) or pyarrow.types.is_timestamp(kind):
            fits = _date(value, kind)
        case str() if _is_text(kind) and condition.op in ("=", "!=", "in"):
            fits = pyarrow.scalar(value)
    if fits is None:
        raise Refusal("E_PROFILE", f"The condition “{condition}” does not fit a column of type {kind}.")
    return fits


def _number(text: str) -> pyarrow.Scalar | None:
    try:
        return pyarrow.scalar(float(Decimal(text)))
    except InvalidOperation:
        return None


def _date(text: str, kind: pyarrow.DataType) -> pyarrow.Scalar | None:
    try:
        return pyarrow.scalar(datetime.date.fromisoformat(text)).cast(kind)
    except (ValueError, pyarrow.ArrowException):
        return None


def _is_number(kind: pyarrow.DataType) -> bool:
    return bool(pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind))


def _is_text(kind: pyarrow.DataType) -> bool:
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))
