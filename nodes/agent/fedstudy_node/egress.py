"""What may leave the site: every reply of a script is held to what the site signed and the script declared.

Checked are the records, the arrays' names, layout and numbers, the update's distance from the model that came, the
metrics' names, form and number, and how many rows stand behind them; counts of small subgroups and replicates of few
rows are withheld. What passes is written anew from the checked numbers, so that nothing else that a script put between
them (a comment in a header, a field that nobody reads) goes along.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from fedstudy_core import flower
from fedstudy_core.blocks import squared_distance
from fedstudy_core.boosters import check_booster
from fedstudy_core.bundle import Declaration
from fedstudy_core.counts import counted
from fedstudy_core.errors import Refusal
from fedstudy_core.outputs import MOST_ARRAYS, MOST_BINS, PLAIN_NAME, check_layout
from fedstudy_core.statement import Outputs
from fedstudy_core.transport import AS_IS
from fedstudy_core.updates import check_update, schema_of
from fedstudy_node.flower import ArrayRecord, MetricRecord, RecordDict
from fedstudy_node.replicates import check_identity, check_replicates, leaving
from fedstudy_node.subgroups import withheld

ARRAYS, SUMS, METRICS = "arrays", "sums", "metrics"
EXAMPLES = "num-examples"
MOST_METRICS = 200
MOST_NUMBERS = 4_096
PLAIN_METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")

Arrays = Mapping[str, np.ndarray]
Number = int | float
Metrics = Mapping[str, Number | list[int] | list[float]]


@dataclass(frozen=True)
class Allowance:
    """What the reply to one message may hold.

    Attributes:
        outputs: what the site signed.
        declaration: what the approved script declares.
        min_rows: the fewest rows behind an answer.
        rows: of the dataset at this node.
        words: what names in it may be made of (`names.words_of`).
        model: the arrays that came with the message; None when none came.
        transport: how the reply's arrays travel.
    """

    phase: str
    message_type: str
    outputs: Outputs
    declaration: Declaration
    min_rows: int
    rows: int
    words: frozenset[str]
    model: Arrays | None = None
    transport: str = AS_IS

    @property
    def records(self) -> frozenset[str]:
        """The names of the records that the reply holds, all of them and no other."""
        if self.phase == "train":
            return frozenset({ARRAYS, METRICS})
        if self.phase == "evaluate":
            return frozenset({METRICS})
        asked = {self.declaration.initial: ARRAYS, self.declaration.sums: SUMS}
        if self.declaration.initial == self.declaration.sums == self.message_type:
            return frozenset({ARRAYS, SUMS})
        return frozenset({asked.get(self.message_type, METRICS)})


@dataclass(frozen=True)
class Cargo:
    """The checked numbers of a reply, by record."""

    arrays: Mapping[str, Arrays] = field(default_factory=dict)
    metrics: Mapping[str, Metrics] = field(default_factory=dict)
    came: RecordDict | None = None

    @cached_property
    def content(self) -> RecordDict:
        """The reply's content, written anew from the numbers and nothing else."""
        content = RecordDict()
        for record, arrays in self.arrays.items():
            came = self.came.array_records[record] if self.came else ArrayRecord()
            content[record] = flower.record_of(
                {name: flower.array_again(came.get(name), _plain(values)) for name, values in arrays.items()}
            )
        for record, metrics in self.metrics.items():
            content[record] = MetricRecord(dict(metrics))
        return content

    @property
    def examples(self) -> int | None:
        """The rows that the script says it used."""
        counts = [count for metrics in self.metrics.values() if isinstance(count := metrics.get(EXAMPLES), int | float)]
        return int(max(counts)) if counts else None

    @property
    def numbers(self) -> int:
        """How many numbers leave."""
        arrays = sum(values.size for record in self.arrays.values() for values in record.values())
        return arrays + sum(count_numbers(metrics) for metrics in self.metrics.values())

    def manifest(self) -> str:
        """What leaves, without the values: names, shapes, dtypes and lengths, as JSON for the ledger."""
        arrays = {
            record: {name: f"{values.dtype}{list(values.shape)}" for name, values in arrays.items()}
            for record, arrays in self.arrays.items()
        }
        metrics = {name: _count(value) for record in self.metrics.values() for name, value in record.items()}
        return json.dumps({"arrays": arrays, "metrics": metrics}, separators=(",", ":"))


def check_reply(content: RecordDict, allowance: Allowance) -> Cargo:
    """Return the numbers of a reply that may leave.

    The words of a refusal may hold what the script chose: they are for the site's log. Only the code leaves.

    Raises:
        Refusal: E_OUTPUT_SCHEMA, E_UPDATE_NAMES, E_UPDATE_DTYPE, E_UPDATE_SHAPE, E_UPDATE_NOT_FINITE, E_UPDATE_NORM,
            E_METRICS_SIZE, E_METRICS_NAMES, E_METRICS_FORM, E_METRICS_TYPE, E_METRICS_NOT_FINITE, E_UPDATE_WEIGHT,
            E_MIN_ROWS, in this order; E_REPLY for an array that cannot be read.
    """
    if set(content) != allowance.records:
        raise Refusal("E_OUTPUT_SCHEMA", f"The reply holds {sorted(content)}, not {sorted(allowance.records)}.")
    arrays, metrics = {}, None
    for name in sorted(content):
        record = content[name]
        if isinstance(record, MetricRecord) and name == METRICS:
            metrics = dict(record)
        elif isinstance(record, ArrayRecord) and name != METRICS:
            arrays[name] = flower.arrays_of(record)
        else:
            raise Refusal("E_OUTPUT_SCHEMA", f"The reply's record {name!r} is of another kind.")
    for name, values in arrays.items():
        _check_arrays(name, values, allowance)
    if metrics is not None:
        _check_metrics(metrics, allowance)
        hidden = withheld(metrics, allowance.declaration.subgroups, allowance.min_rows)
        told = {name: value for name, value in metrics.items() if name not in hidden}
        metrics = leaving(told, allowance.declaration.metrics, allowance.min_rows)
    return Cargo(arrays, {} if metrics is None else {METRICS: metrics}, content)


def _check_arrays(record: str, arrays: Arrays, allowance: Allowance) -> None:
    declared = allowance.declaration.outputs
    if record == SUMS:
        if declared.sums and arrays:  # a script may have nothing to add up
            check_layout(arrays, declared.sums)
    elif declared.arrays:
        check_layout(arrays, _layouts(arrays, allowance.declaration))
    if allowance.phase == "train":
        _check_update(arrays, allowance)
        return
    if len(arrays) > MOST_ARRAYS or not all(PLAIN_NAME.fullmatch(name) for name in arrays):
        raise Refusal("E_UPDATE_NAMES", "There are too many arrays, or one has no plain name.")
    check_update(arrays, schema_of(arrays), examples=1, max_examples=1)


def _layouts(arrays: Arrays, declaration: Declaration) -> dict[str, str]:
    """The declared layouts; layers that may stay at the site need not be there."""
    return {
        name: layout
        for name, layout in declaration.outputs.arrays.items()
        if name in arrays or not declaration.may_stay_local(name)
    }


def _check_update(arrays: Arrays, allowance: Allowance) -> None:
    """Hold an update to the model that came: its names in their order, shapes, dtypes, and the bound of the norm."""
    if allowance.model is None:
        raise Refusal("E_UPDATE_NAMES", "No model came that this could be an update of.")
    bound = allowance.outputs.max_norm
    if allowance.declaration.model == "trees":
        check_booster(arrays, allowance.model)
        if bound is not None:
            raise Refusal("E_UPDATE_NORM", "Trees have no distance that could be bounded.")
        return
    check_update(arrays, schema_of(allowance.model), examples=1, max_examples=1)
    if bound is not None:
        norm = distance(arrays, allowance.model)
        if not norm <= bound:
            raise Refusal("E_UPDATE_NORM", f"The update is {norm:.6g} away from the model; {bound} is approved.")


def distance(update: Arrays, model: Arrays) -> float:
    """The L2 norm of update - model over all arrays, whole numbers included; infinite when beyond all numbers."""
    total = squared_distance(update, model)
    return math.sqrt(total) if math.isfinite(total) else math.inf


def _check_metrics(metrics: Metrics, allowance: Allowance) -> None:
    if len(metrics) > MOST_METRICS or count_numbers(metrics) > MOST_NUMBERS:
        raise Refusal("E_METRICS_SIZE", f"More than {MOST_METRICS} metrics, or {MOST_NUMBERS} numbers in them.")
    for name, value in metrics.items():
        if name != EXAMPLES:
            _check_metric(name, value, allowance)
    check_rows(metrics, allowance)


def _check_metric(name: str, value: object, allowance: Allowance) -> None:
    allowed = allowance.outputs.metrics
    if name not in allowed if allowed is not None else not PLAIN_METRIC.fullmatch(name):
        raise Refusal("E_METRICS_NAMES", f"The site did not approve a metric {name!r}.")
    declaration = allowance.declaration
    kind = declaration.metrics.get(name)
    if kind == "histogram":
        check_histogram(name, value, declaration.outputs.bins.get(name), allowance.rows)
    elif kind == "replicates":
        check_replicates(name, value, allowance.phase)
    elif kind == "identity":
        check_identity(name, value, allowance.phase)
    elif isinstance(value, list):
        raise Refusal("E_METRICS_FORM", f"“{name}” is a list, and no declared histogram.")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal("E_METRICS_TYPE", f"“{name}” is not a number.")
    elif not math.isfinite(value):
        raise Refusal("E_METRICS_NOT_FINITE", f"“{name}” is not finite.")


def check_histogram(name: str, value: object, bins: int | None, rows: int) -> None:
    """Hold a histogram to counts of rows: whole, none below zero, together no more than the dataset has."""
    if not isinstance(value, list) or len(value) > MOST_BINS or bins not in (None, len(value)):
        raise Refusal("E_METRICS_FORM", f"“{name}” is no histogram of the declared length.")
    if not all(math.isfinite(count) for count in value):
        raise Refusal("E_METRICS_NOT_FINITE", f"“{name}” is not finite.")
    if any(count < 0 or count != int(count) for count in value) or sum(value) > rows:
        raise Refusal("E_METRICS_FORM", f"“{name}” does not count rows of the dataset.")


def check_rows(metrics: Metrics, allowance: Allowance) -> None:
    """Hold the number of rows behind the answer to what the dataset has and to what the site asks for."""
    count = metrics.get(EXAMPLES)
    may_be_missing = allowance.phase == "query" or allowance.declaration.server == "own"
    if count is None and may_be_missing and allowance.min_rows == 1:
        return
    if count is None or isinstance(count, list) or not 0 <= count <= allowance.rows or count != int(count):
        raise Refusal("E_UPDATE_WEIGHT", f"{EXAMPLES} is {count!r}; the dataset has {allowance.rows} rows.")
    if count < allowance.min_rows:
        raise Refusal(
            "E_MIN_ROWS", f"Behind the answer: {counted(int(count), 'row')}; {allowance.min_rows} are asked for."
        )


def count_numbers(metrics: Metrics) -> int:
    """How many numbers metrics hold."""
    return sum(map(_count, metrics.values()))


def _count(value: object) -> int:
    return len(value) if isinstance(value, list) else 1


def _plain(values: np.ndarray) -> np.ndarray:
    """The array in the one layout in memory that NumPy's format writes without a mark."""
    return np.ascontiguousarray(values).reshape(values.shape)
