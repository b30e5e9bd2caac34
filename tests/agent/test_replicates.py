"""Bootstrap replicates on their way out of a node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flwr.app import MetricRecord, RecordDict

from fedstudy_core.bundle import Declaration
from fedstudy_core.errors import Refusal
from fedstudy_core.statement import Outputs
from fedstudy_node.egress import Allowance, check_reply

DECLARATION = Declaration.model_validate(
    {"metrics": {"accuracy": "mean", "accuracy-replicates": "replicates", "replicates-of": "identity"}}
)
OUTPUTS = Outputs(phases=["train", "evaluate"], max_bytes=100_000, metrics=sorted(DECLARATION.metrics))
ALLOWANCE = Allowance("evaluate", "evaluate", OUTPUTS, DECLARATION, min_rows=1, rows=300, words=frozenset())
REPLICATES = [0.8123456789, 0.75, 0.7]


def answer(**changed: Any) -> RecordDict:
    metrics: dict[str, Any] = {
        "num-examples": 40,
        "accuracy": 0.75,
        "accuracy-replicates": REPLICATES,
        "replicates-of": 2**47,
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    return RecordDict({"metrics": MetricRecord(metrics)})


def leaving(content: RecordDict, allowance: Allowance = ALLOWANCE) -> dict[str, Any]:
    return dict(check_reply(content, allowance).content.metric_records["metrics"])


def test_they_leave_to_four_decimals() -> None:
    left = leaving(answer())
    assert left["accuracy-replicates"] == [0.8123, 0.75, 0.7]
    assert left["replicates-of"] == 2**47


@pytest.mark.parametrize(("rows", "min_rows", "leaves"), [(10, 1, True), (9, 1, False), (40, 40, True)])
def test_of_few_rows_neither_they_nor_whose_they_are_leave(rows: int, min_rows: int, leaves: bool) -> None:
    left = leaving(answer(num_examples=rows), replace(ALLOWANCE, min_rows=min_rows))
    assert ("accuracy-replicates" in left, "replicates-of" in left) == (leaves, leaves)
    assert left["accuracy"] == 0.75


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"accuracy_replicates": [0.5] * 201}, "E_METRICS_FORM"),
        ({"accuracy_replicates": []}, "E_METRICS_FORM"),
        ({"accuracy_replicates": 0.5}, "E_METRICS_FORM"),
        ({"accuracy_replicates": [1, 0]}, "E_METRICS_TYPE"),
        ({"accuracy_replicates": [0.5, float("nan")]}, "E_METRICS_NOT_FINITE"),
        ({"accuracy_replicates": [0.5, float("inf")]}, "E_METRICS_NOT_FINITE"),
        ({"replicates_of": 2**48}, "E_METRICS_FORM"),
        ({"replicates_of": -1}, "E_METRICS_FORM"),
        ({"replicates_of": 0.5}, "E_METRICS_FORM"),
        ({"replicates_of": [1, 2]}, "E_METRICS_FORM"),
        ({"auc_replicates": REPLICATES}, "E_METRICS_NAMES"),
    ],
)
def test_what_is_no_replicates_does_not_leave(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as caught:
        leaving(answer(**changed))
    assert caught.value.code == code


def test_they_are_of_tests_only_and_need_the_sites_approval() -> None:
    with pytest.raises(Refusal) as caught:
        leaving(answer(), replace(ALLOWANCE, phase="query", message_type="query.environment"))
    assert caught.value.code == "E_METRICS_FORM"
    with pytest.raises(Refusal) as caught:
        leaving(answer(), replace(ALLOWANCE, outputs=OUTPUTS.model_copy(update={"metrics": ["accuracy"]})))
    assert caught.value.code == "E_METRICS_NAMES"


def test_a_list_that_is_declared_as_a_number_does_not_leave() -> None:
    plain = Declaration.model_validate({"metrics": {"accuracy": "mean", "replicates-of": "identity"}})
    with pytest.raises(Refusal) as caught:
        leaving(answer(accuracy=[0.5, 0.5]), replace(ALLOWANCE, declaration=plain))
    assert caught.value.code == "E_METRICS_FORM"
