"""A run's newest test as an evaluation."""

from __future__ import annotations

import pytest

from federation.runs.evaluation import assess
from federation.runs.models import Run
from federation.runs.selectors import rounds_of, run_summary
from tests.api.world import World
from tests.web.rounds import EVALUATION, commit_round, set_to_work

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(world: World) -> Run:
    return set_to_work(world)


def test_the_newest_test_counts(run: Run) -> None:
    commit_round(run, 1)
    commit_round(run, 2)
    commit_round(run, 3)
    run.round_set.filter(number=3).update(metrics={"train": {"train-loss": 0.1}})
    evaluation = run_summary(run, rounds_of(run)).evaluation
    assert evaluation is not None
    assert evaluation.round == 2
    assert [item.site for item in evaluation.sites] == ["Cleveland Clinic"]
    assert (evaluation.together.positives, evaluation.together.negatives) == (4, 4)
    assert evaluation.together.auc.value == pytest.approx(0.96875)


@pytest.mark.parametrize(
    "lacking", [{"score-positives": [0, 0, 0]}, {"score-negatives": [1, 2]}, {"score-positives": 3}]
)
def test_without_rows_of_both_kinds_there_is_none(lacking: dict[str, object]) -> None:
    assert assess({**EVALUATION, **lacking}) is None
    assert assess({}) is None
