"""A run's newest test as an evaluation."""

from __future__ import annotations

import pytest

from federation.runs.evaluation import assess
from federation.runs.models import Run
from federation.runs.selectors import rounds_of, run_summary
from tests.api.world import World
from tests.web.rounds import EVALUATION, commit_round, declare_subgroups, set_to_work

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


def test_subgroups_are_those_that_sites_told_of(run: Run) -> None:
    commit_round(run, 1)
    run = declare_subgroups(run)
    summary = run_summary(run, rounds_of(run))
    assert summary.evaluation is not None
    female, male = summary.evaluation.subgroups
    assert (female.subgroup, female.value, female.sites, female.withheld) == ("Sex", "Female", 0, 1)
    assert (female.rows_band, female.auc, female.sensitivity) == ("", None, None)
    assert (male.name, male.sites, male.withheld, male.rows_band) == ("sex.male", 1, 0, "10-49")
    assert male.auc is not None and male.sensitivity is not None and male.specificity is not None
    assert (male.auc.value, male.sensitivity.value, male.specificity.value) == pytest.approx((0.775, 0.8, 0.75))
    assert not any("sex" in name for name in (*summary.pooled, *summary.sites[0].metrics))
