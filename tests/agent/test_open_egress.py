"""What may leave a site for a script's own ServerApp: finite numbers in records of its own naming, and nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedstudy_core import flower
from fedstudy_core.bundle import Declaration
from fedstudy_core.errors import Refusal
from fedstudy_core.statement import Outputs
from fedstudy_node.egress import Allowance
from fedstudy_node.replies import read_reply

OUTPUTS = Outputs(phases=["query", "train", "evaluate"], max_bytes=20_000)
WORDS = frozenset(
    [
        "query",
        "results",
        "age",
        "hist",
        "mean",
        "arrays",
        "counts",
        "num",
        "examples",
        "first",
        "second",
        "loss",
        "a",
        "m",
        "n",
    ]
)
QUERY = Allowance("query", "query.ages", OUTPUTS, Declaration(server="own"), min_rows=1, rows=40, words=WORDS)
TRAIN = replace(QUERY, phase="train", message_type="train", model={"0": np.zeros(2)})


def own(**records: Any) -> RecordDict:
    return RecordDict(records)


def trees() -> RecordDict:
    raw = ArrayRecord([np.frombuffer(b'{"trees": []}', dtype=np.uint8)])
    return own(arrays=raw, counts=MetricRecord({"num-examples": 40}))


@pytest.mark.parametrize(
    "content",
    [
        own(query_results=MetricRecord({"age_hist": [1, 2, 3], "mean": 0.5})),
        trees(),
        own(first=MetricRecord({"loss": 1.0}), second=MetricRecord({"num-examples": 7})),
    ],
)
def test_records_of_its_own_naming_leave_as_they_are(content: RecordDict) -> None:
    passed = read_reply(flower.pack(content), TRAIN).content
    assert list(passed) == list(content)
    assert flower.pack(passed) == flower.pack(content)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (own(), "E_OUTPUT_SCHEMA"),
        (own(note=ConfigRecord({"text": "Jane Doe"})), "E_OUTPUT_SCHEMA"),
        (own(**{"Jane Doe!": MetricRecord({"a": 1})}), "E_OUTPUT_SCHEMA"),
        (own(**{f"r{number}": MetricRecord({"a": 1}) for number in range(17)}), "E_OUTPUT_SCHEMA"),
        (own(a=ArrayRecord({"w": flower.array(np.array([np.nan]))})), "E_UPDATE_NOT_FINITE"),
        (own(a=ArrayRecord({"w": flower.array(np.zeros(1, np.complex64))})), "E_UPDATE_DTYPE"),
        (own(m=MetricRecord({"rows": list(range(1_001))})), "E_METRICS_FORM"),
        (own(m=MetricRecord({f"m{number}": 1 for number in range(201)})), "E_METRICS_SIZE"),
        (own(m=MetricRecord({"loss": float("inf")})), "E_METRICS_NOT_FINITE"),
        (own(m=MetricRecord({"num-examples": 41})), "E_UPDATE_WEIGHT"),
        (own(a=ArrayRecord({"w": flower.array(np.zeros(5_000))})), "E_OUTPUT_SIZE"),
    ],
)
def test_everything_else_stays(content: RecordDict, code: str) -> None:
    with pytest.raises(Refusal, match=code):
        read_reply(flower.pack(content), QUERY)


def test_the_floor_of_rows_wants_a_count_and_holds_it() -> None:
    asking = replace(QUERY, min_rows=10)
    for content, code in [
        (own(m=MetricRecord({"mean": 1.0})), "E_UPDATE_WEIGHT"),
        (own(m=MetricRecord({"num-examples": 9})), "E_MIN_ROWS"),
        (own(m=MetricRecord({"num-examples": 20}), n=MetricRecord({"num-examples": 9})), "E_MIN_ROWS"),
    ]:
        with pytest.raises(Refusal, match=code):
            read_reply(flower.pack(content), asking)
    assert read_reply(flower.pack(own(m=MetricRecord({"num-examples": 10}))), asking).cargo.examples == 10


def test_a_signed_bound_of_the_norm_holds_for_training() -> None:
    bounded = replace(TRAIN, outputs=OUTPUTS.model_copy(update={"max_norm": 1}))
    near, far = (own(a=ArrayRecord({"0": flower.array(np.full(2, step))})) for step in (0.1, 3.0))
    assert read_reply(flower.pack(near), bounded).cargo.numbers == 2
    with pytest.raises(Refusal, match="E_UPDATE_NORM"):
        read_reply(flower.pack(far), bounded)


def test_what_the_script_declares_is_held() -> None:
    declaration = Declaration.model_validate(
        {"server": "own", "metrics": {"bins": "histogram"}, "outputs": {"arrays": {"w": "float64[2]"}}}
    )
    declared = replace(TRAIN, declaration=declaration, outputs=OUTPUTS.model_copy(update={"metrics": ["bins"]}))
    for content, code in [
        (own(a=ArrayRecord({"w": flower.array(np.zeros(3))})), "E_UPDATE_SHAPE"),
        (own(m=MetricRecord({"other": 1})), "E_METRICS_NAMES"),
        (own(m=MetricRecord({"bins": [41]})), "E_METRICS_FORM"),
    ]:
        with pytest.raises(Refusal, match=code):
            read_reply(flower.pack(content), declared)
