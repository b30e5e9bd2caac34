"""What the engine says to the sites, and how it reads their answers. Pure: no database, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedstudy_core import flower as records
from fedstudy_core import metrics as measures
from fedstudy_core.carriage import SHARED
from fedstudy_core.errors import Refusal
from fedstudy_core.flower import Packed
from fedstudy_core.freight import Freight
from fedstudy_core.metrics import MAX_EXAMPLES, WEIGHT, Metric
from fedstudy_core.receipts import Receipt, verify_receipt
from fedstudy_core.transport import RoundingTold
from fedstudy_core.updates import check_metrics, check_update, check_weight, schema_of

ARRAYS, CONFIG, METRICS, SUMS = "arrays", "config", "metrics", "sums"
LOCAL_LAYERS, LAST_TEST = "local-layers", "last-test"

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Answer:
    """A site's good answer.

    Attributes:
        packed: its content as it is kept, with the SHA-256 that the receipt names.
        receipt: the node's signed account (DSSE bytes).
    """

    packed: Packed
    receipt: bytes
    arrays: dict[str, np.ndarray]
    metrics: dict[str, Metric]
    examples: int | None


@dataclass(frozen=True)
class Taken:
    """What is written down of a good answer, whose content is kept.

    Attributes:
        rounding: what narrowing did to its numbers, as the node's receipt says.
    """

    sha256: str
    receipt: bytes
    metrics: dict[str, Metric]
    examples: int | None
    rounding: RoundingTold | None

    @classmethod
    def of(cls, answer: Answer, rounding: RoundingTold | None) -> Taken:
        return cls(answer.packed.sha256, answer.receipt, answer.metrics, answer.examples, rounding)


def array_record(arrays: Arrays) -> ArrayRecord:
    return records.record_of({name: records.array(value) for name, value in arrays.items()})


def query_content(config: Mapping[str, int | float | str | bool], local_layers: Sequence[str] = ()) -> RecordDict:
    """The run's configuration, and where some layers stay at the sites, which."""
    values: dict[str, Any] = {**config, **({LOCAL_LAYERS: list(local_layers)} if local_layers else {})}
    return RecordDict({CONFIG: ConfigRecord(values)})


def say_whether_last(contents: Iterable[RecordDict], *, last: bool) -> None:
    """Tell the sites whether the test is of the run's last round: some measures are worth their time only then."""
    for content in contents:
        if CONFIG not in content:
            content[CONFIG] = ConfigRecord()
        content.config_records[CONFIG][LAST_TEST] = last


def with_shared(content: RecordDict, shared: Arrays) -> RecordDict:
    """The message with the sites' sums beside what the strategy put into it."""
    if not shared:
        return content
    return RecordDict({**content, SHARED: array_record(shared)})


@dataclass(frozen=True)
class Expected:
    """What an answer in a phase must hold.

    Attributes:
        array_key: the record that must hold the arrays; None where the phase wants metrics only.
        kinds: how the script declares that its metrics combine; None where the phase wants no metrics.
    """

    array_key: str | None
    kinds: Mapping[str, str] | None = None


def read_answer(content: RecordDict, expected: Expected, freight: Freight | None = None) -> Answer:
    """Check a site's answer before anything uses it.

    Args:
        freight: what came beside it.

    Raises:
        Refusal: E_UPDATE_*, E_METRICS_* or E_REPLY, with what is wrong.
    """
    receipt, inner, packed = records.unwrap_reply(content, freight)
    arrays = {} if expected.array_key is None else _read_arrays(inner, expected.array_key)
    metrics = {} if expected.kinds is None else _read_metrics(inner, expected.kinds)
    examples = None if expected.kinds is None else check_weight(metrics.get(WEIGHT), MAX_EXAMPLES)
    if expected.array_key is not None:
        check_update(arrays, schema_of(arrays), examples=1, max_examples=1)
    return Answer(packed, receipt, arrays, metrics, examples)


def _read_arrays(content: RecordDict, key: str) -> dict[str, np.ndarray]:
    record = content.get(key)
    if not isinstance(record, ArrayRecord):
        raise Refusal("E_REPLY", f"The answer holds no arrays named “{key}”.")
    return records.arrays_of(record)


def _read_metrics(content: RecordDict, kinds: Mapping[str, str]) -> dict[str, Metric]:
    record = content.get(METRICS)
    if not isinstance(record, MetricRecord):
        raise Refusal("E_REPLY", "The answer holds no metrics.")
    metrics: dict[str, Metric] = dict(record)
    check_metrics(metrics)
    for name, value in metrics.items():
        kind, numbers = kinds.get(name), value if isinstance(value, Sequence) else None
        if (numbers is not None) != (kind in measures.LISTS):
            raise Refusal("E_METRICS_FORM", f"“{name}” is a list exactly when the script declares one.")
        if numbers is not None and kind == "histogram" and any(count < 0 for count in numbers):
            raise Refusal("E_METRICS_FORM", f"“{name}” holds a count below zero.")
        if numbers is not None and kind == "replicates" and not 0 < len(numbers) <= measures.MOST_REPLICATES:
            raise Refusal("E_METRICS_FORM", f"“{name}” are not 1 to {measures.MOST_REPLICATES} replicates.")
    return metrics


def verify_by_any(receipt: bytes, public_keys: Sequence[str]) -> Receipt:
    """The receipt that one of these keys signed: a node may have replaced its key since it was asked.

    Raises:
        Refusal: E_RECEIPT.
    """
    for public_key in public_keys[:-1]:
        with suppress(Refusal):
            return verify_receipt(receipt, public_key)
    return verify_receipt(receipt, public_keys[-1])


def check_receipt(receipt: bytes, *, public_keys: Sequence[str], expected: Mapping[str, object]) -> Receipt:
    """The node's receipt, if it is signed by a key of the node and is about this very exchange.

    Raises:
        Refusal: E_RECEIPT.
    """
    account = verify_by_any(receipt, public_keys)
    for name, value in expected.items():
        if getattr(account, name) != value:
            raise Refusal("E_RECEIPT", f"The node's receipt names another {name.replace('_', ' ')}.")
    return account
