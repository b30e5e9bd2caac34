"""Counts of subgroups on their way out of a node."""

from dataclasses import replace
from typing import Any

import pytest
from flwr.app import MetricRecord, RecordDict

from fedstudy_core.bundle import Declaration
from fedstudy_core.errors import Refusal
from fedstudy_core.statement import Outputs
from fedstudy_node.egress import Allowance, check_reply

VALUES = [{"name": "female", "label": "Female"}, {"name": "male", "label": "Male"}]
DECLARATION = Declaration.model_validate(
    {
        "metrics": {"score-positives": "histogram", "score-negatives": "histogram"},
        "subgroups": [{"name": "sex", "label": "Sex", "values": VALUES}],
    }
)
OUTPUTS = Outputs(phases=["evaluate"], max_bytes=100_000, metrics=sorted(DECLARATION.metrics))
ALLOWANCE = Allowance("evaluate", "evaluate", OUTPUTS, DECLARATION, min_rows=1, rows=100, words=frozenset())


def counts(rows: int) -> list[int]:
    return [rows, *[0] * 19]


def answer(female: tuple[int, int], male: tuple[int, int], **changed: Any) -> RecordDict:
    whole = {"num-examples": sum(female) + sum(male)}
    metrics: dict[str, Any] = {
        "score-positives": [female[0] + male[0]],
        "score-negatives": [female[1] + male[1]],
        "score-positives.sex.female": counts(female[0]),
        "score-negatives.sex.female": counts(female[1]),
        "score-positives.sex.male": counts(male[0]),
        "score-negatives.sex.male": counts(male[1]),
        **{name.replace("__", ".").replace("_", "-"): value for name, value in changed.items()},
    }
    kept = {name: value for name, value in metrics.items() if value is not None}
    return RecordDict({"metrics": MetricRecord({**whole, **kept})})


def leaving(content: RecordDict, allowance: Allowance = ALLOWANCE) -> set[str]:
    return {name for name in check_reply(content, allowance).content["metrics"] if "sex" in name}


def test_large_subgroups_leave() -> None:
    assert len(leaving(answer((9, 25), (30, 30)))) == 4


def test_a_small_one_stays_with_the_one_that_would_tell_it() -> None:
    assert leaving(answer((4, 15), (29, 41))) == set()


def test_a_site_may_ask_for_more_rows() -> None:
    assert leaving(answer((9, 9), (30, 30)), replace(ALLOWANCE, min_rows=30)) == set()


@pytest.mark.parametrize(
    "changed",
    [
        {"score_positives": None},
        {"score_positives": None, "score_negatives": None},
        {"score_positives__sex__male": None},
        {"score_positives": [20]},
        {"score_positives__sex__male": [30]},
        {"score_positives__sex__male": [-1, *[0] * 19]},
    ],
)
def test_counts_that_do_not_agree_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        leaving(answer((9, 25), (30, 30), **changed))
    assert refused.value.code == "E_METRICS_FORM"


def test_a_subgroup_that_was_not_declared_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        leaving(answer((9, 25), (30, 30), score_positives__sex__other=counts(3), score_negatives__sex__other=counts(3)))
    assert refused.value.code == "E_METRICS_NAMES"
