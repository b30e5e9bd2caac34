"""What may leave a site for a script's own ServerApp, which names its records and reads them as it likes.

The rules are `egress`'s own where they can hold without a fixed form: arrays and metrics and nothing else, plain names,
finite numbers, the numbers' count, what the script declares where it declares something, the bound of the norm where
the site signed one, and the rows behind the answer. No text and no bytes leave, whatever they are called.
"""

import math

from fedstudy_core import flower
from fedstudy_core.errors import Refusal
from fedstudy_core.outputs import MOST_ARRAYS, MOST_BINS, PLAIN_NAME, check_layout
from fedstudy_core.updates import check_update, schema_of
from fedstudy_node.egress import (
    EXAMPLES,
    MOST_METRICS,
    MOST_NUMBERS,
    PLAIN_METRIC,
    Allowance,
    Arrays,
    Cargo,
    Metrics,
    check_histogram,
    check_rows,
    count_numbers,
    distance,
)
from fedstudy_node.flower import ArrayRecord, MetricRecord, RecordDict

MOST_RECORDS = 16


def check_open_reply(content: RecordDict, allowance: Allowance) -> Cargo:
    """Return the numbers of a reply that may leave.

    Raises:
        Refusal: E_OUTPUT_SCHEMA for another kind of record, too many of them or none; otherwise as
            `egress.check_reply`, in its order.
    """
    if not 1 <= len(content) <= MOST_RECORDS or not all(PLAIN_NAME.fullmatch(name) for name in content):
        raise Refusal(
            "E_OUTPUT_SCHEMA", f"The reply holds no record, more than {MOST_RECORDS}, or one with a strange name."
        )
    arrays: dict[str, Arrays] = {}
    metrics: dict[str, Metrics] = {}
    for name, record in content.items():
        if isinstance(record, MetricRecord):
            metrics[name] = dict(record)
        elif isinstance(record, ArrayRecord):
            arrays[name] = flower.arrays_of(record)
        else:
            raise Refusal("E_OUTPUT_SCHEMA", f"The reply's record {name!r} is neither of arrays nor of metrics.")
    for record_arrays in arrays.values():
        _check_arrays(record_arrays, allowance)
    _check_metrics(metrics, allowance)
    return Cargo(arrays, metrics, content)


def _check_arrays(arrays: Arrays, allowance: Allowance) -> None:
    if len(arrays) > MOST_ARRAYS or not all(PLAIN_NAME.fullmatch(name) for name in arrays):
        raise Refusal("E_UPDATE_NAMES", "There are too many arrays, or one has no plain name.")
    declared, bound = allowance.declaration.outputs.arrays, allowance.outputs.max_norm
    training = allowance.phase == "train"
    if training and declared:
        check_layout(arrays, declared)
    check_update(arrays, schema_of(arrays), examples=1, max_examples=1)
    if training and bound is not None:
        if allowance.model is None:
            raise Refusal("E_UPDATE_NAMES", "No model came that this could be an update of.")
        check_update(arrays, schema_of(allowance.model), examples=1, max_examples=1)
        if not distance(arrays, allowance.model) <= bound:
            raise Refusal("E_UPDATE_NORM", f"The update is further from the model than the approved {bound}.")


def _check_metrics(metrics: dict[str, Metrics], allowance: Allowance) -> None:
    if sum(map(len, metrics.values())) > MOST_METRICS or sum(map(count_numbers, metrics.values())) > MOST_NUMBERS:
        raise Refusal("E_METRICS_SIZE", f"More than {MOST_METRICS} metrics, or {MOST_NUMBERS} numbers in them.")
    for record in metrics.values():
        for name, value in record.items():
            if name != EXAMPLES:
                _check_metric(name, value, allowance)
    counted = [record for record in metrics.values() if EXAMPLES in record]
    for record in counted or [{}]:
        check_rows(record, allowance)


def _check_metric(name: str, value: object, allowance: Allowance) -> None:
    allowed, declaration = allowance.outputs.metrics, allowance.declaration
    if name not in allowed if allowed is not None else not PLAIN_METRIC.fullmatch(name):
        raise Refusal("E_METRICS_NAMES", f"The site did not approve a metric {name!r}.")
    if declaration.metrics.get(name) == "histogram":
        check_histogram(name, value, declaration.outputs.bins.get(name), allowance.rows)
        return
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) > MOST_BINS:
        raise Refusal("E_METRICS_FORM", f"“{name}” is a list of more than {MOST_BINS} numbers.")
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise Refusal("E_METRICS_TYPE", f"“{name}” does not hold numbers only.")
    if not all(map(math.isfinite, numbers)):
        raise Refusal("E_METRICS_NOT_FINITE", f"“{name}” is not finite.")
