"""What the engine says to the sites, and how it reads their answers. Pure: no database, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from federation.runs.metrics import WEIGHT, Metric
from fedstudy_core import flower as records
from fedstudy_core.errors import Refusal
from fedstudy_core.receipts import Receipt, verify_receipt
from fedstudy_core.updates import Schema, check_metrics, check_update, schema_of

ARRAYS, CONFIG, METRICS, SHARED, SUMS = "arrays", "config", "metrics", "shared", "sums"
MAX_EXAMPLES = 10**9
SUPERLINK = 1  # Flower's node id of the centre

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Answer:
    """A site's good answer.

    Attributes:
        packed: its content as it is kept, with the SHA-256 that the receipt names.
        receipt: the node's signed account (DSSE bytes).
    """

    packed: bytes
    sha256: str
    receipt: bytes
    arrays: dict[str, np.ndarray]
    metrics: dict[str, Metric]
    examples: int | None


def array_record(arrays: Arrays) -> ArrayRecord:
    return ArrayRecord({name: records.array(value) for name, value in arrays.items()})


def query_content(config: Mapping[str, int | float | str | bool]) -> RecordDict:
    return RecordDict({CONFIG: ConfigRecord(dict(config))})


def with_shared(content: RecordDict, shared: Arrays) -> RecordDict:
    """The message with the sites' sums beside what the strategy put into it."""
    if not shared:
        return content
    return RecordDict({**content, SHARED: array_record(shared)})


def read_answer(content: RecordDict, *, array_key: str | None, schema: Schema | None, max_norm: float | None) -> Answer:
    """Check a site's answer before anything uses it.

    Args:
        array_key: the record that must hold the arrays; None where the phase wants metrics only.
        schema: names, shapes and dtypes that the arrays must have; None where they are not known yet.

    Raises:
        Refusal: E_UPDATE_*, E_METRICS_* or E_REPLY, with what is wrong.
    """
    receipt, inner, packed, sha256 = records.unwrap_reply(content)
    arrays = _read_arrays(inner, array_key)
    metrics, examples = _read_metrics(inner)
    if array_key is not None:
        check_update(
            arrays,
            schema if schema is not None else schema_of(arrays),
            examples=examples if examples is not None else 1,
            max_examples=MAX_EXAMPLES,
            max_norm=max_norm,
        )
    return Answer(packed, sha256, receipt, arrays, metrics, examples)


def _read_arrays(content: RecordDict, key: str | None) -> dict[str, np.ndarray]:
    if key is None:
        return {}
    record = content.get(key)
    if not isinstance(record, ArrayRecord):
        raise Refusal("E_REPLY", f"The answer holds no arrays named “{key}”.")
    return records.arrays_of(record)


def _read_metrics(content: RecordDict) -> tuple[dict[str, Metric], int | None]:
    record = content.get(METRICS)
    if record is None:
        return {}, None
    if not isinstance(record, MetricRecord):
        raise Refusal("E_REPLY", "The answer's metrics are not a metric record.")
    metrics = dict(record)
    check_metrics(metrics)
    examples = metrics.get(WEIGHT)
    if not isinstance(examples, int | float) or examples < 0 or not float(examples).is_integer():
        raise Refusal("E_UPDATE_WEIGHT", f"The answer's “{WEIGHT}” is not a whole number of rows.")
    return metrics, int(examples)


def comparable_replies(contents: Sequence[RecordDict]) -> list[Message]:
    """The answers as replies to a Flower strategy, with the metrics that all of them hold.

    A site leaves out a metric that it cannot compute (an area under the curve needs both classes); Flower's strategies
    take only answers with the same names.
    """
    common = set.intersection(*(set(content.get(METRICS, {})) for content in contents))
    return [
        Message(
            content=RecordDict(
                {
                    ARRAYS: content[ARRAYS],
                    METRICS: MetricRecord({name: value for name, value in content[METRICS].items() if name in common}),
                }
            ),
            dst_node_id=SUPERLINK,
            message_type="train",
        )
        for content in contents
    ]


def check_receipt(receipt: bytes, *, public_key: str, expected: Mapping[str, object]) -> Receipt:
    """The node's receipt, if it is signed by the node's key and is about this very exchange.

    Raises:
        Refusal: E_RECEIPT.
    """
    account = verify_receipt(receipt, public_key)
    for name, value in expected.items():
        if getattr(account, name) != value:
            raise Refusal("E_RECEIPT", f"The node's receipt names another {name.replace('_', ' ')}.")
    return account
