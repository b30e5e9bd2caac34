"""Replicates are those of rows that are drawn anew: the same in every run, and told by nobody without the secret."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from fedstudy_core.metrics import MOST_REPLICATES
from fedstudy_core.resampling import Resampling, resampling_key

KEY = resampling_key(b"secret of the node", "study", "dataset", "fingerprint")
ROWS = b"digest of the rows"
CHANCE = np.random.default_rng(11)
LABELS = CHANCE.random(90) < 0.45
SCORES = np.round(CHANCE.normal(size=90) + 1.2 * LABELS, 1)  # with ties
RIGHT = (SCORES > 0.5) == LABELS


def resampling(labels: np.ndarray = LABELS, *, key: bytes = KEY, rows: bytes = ROWS, times: int = 200) -> Resampling:
    return Resampling(key, rows, labels, times)


def test_a_share_is_that_of_the_rows_that_were_drawn() -> None:
    drawn = resampling()
    assert [times.sum() for times in drawn._of_all()] == [90] * 200
    each = [np.repeat(RIGHT, times).mean() for times in drawn._of_all()]
    assert drawn.shares(RIGHT) == pytest.approx(each)


def test_an_area_is_scikit_learns_of_the_rows_that_were_drawn() -> None:
    drawn = resampling(times=40)
    found = drawn.areas(SCORES)
    assert [times[LABELS].sum() for times in drawn._of_classes()] == [LABELS.sum()] * 40
    weighted = [roc_auc_score(LABELS, SCORES, sample_weight=times) for times in drawn._of_classes()]
    assert found == pytest.approx(weighted)


def test_the_replicates_spread_as_scipys_do() -> None:
    theirs = bootstrap((RIGHT,), np.mean, n_resamples=5000, random_state=np.random.default_rng(1))
    assert np.std(resampling().shares(RIGHT)) == pytest.approx(theirs.standard_error, rel=0.15)
    positive, negative = SCORES[LABELS], SCORES[~LABELS]

    def area(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.mean((first[:, None] > second) + 0.5 * (first[:, None] == second)))

    parts = bootstrap(
        (positive, negative), area, n_resamples=500, vectorized=False, random_state=np.random.default_rng(1)
    )
    assert np.std(resampling().areas(SCORES) or []) == pytest.approx(parts.standard_error, rel=0.15)


def test_the_same_rows_are_drawn_alike_whatever_is_measured_and_however_often() -> None:
    assert resampling().shares(RIGHT) == resampling().shares(RIGHT)
    assert resampling(times=60).shares(RIGHT) == resampling().shares(RIGHT)[:60]
    assert resampling().identity == resampling(times=60).identity
    better = np.array(resampling().shares(np.ones(90))) - np.array(resampling().shares(RIGHT))
    assert better == pytest.approx(resampling().shares(1 - RIGHT.astype(float)))


@pytest.mark.parametrize("changed", [{"rows": b"other rows"}, {"key": resampling_key(b"secret of another", "study")}])
def test_other_rows_and_other_nodes_are_drawn_otherwise(changed: dict[str, bytes]) -> None:
    other = resampling(**changed)  # type: ignore[arg-type]
    assert other.identity != resampling().identity
    assert abs(np.corrcoef(other.shares(RIGHT), resampling().shares(RIGHT))[0, 1]) < 0.25


def test_a_key_is_of_its_parts_and_not_of_their_letters() -> None:
    keys = {resampling_key(b"s", *parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("a", "b", "c"))}
    assert len(keys) == 4
    assert 0 <= resampling().identity < 2**48


def test_these_are_the_draws_of_this_version() -> None:
    """Nodes of different versions must draw alike, or tests before and after an update could not be paired."""
    labels = np.arange(20) < 8
    drawn = Resampling(bytes(32), b"rows", labels, 50)
    assert drawn.identity == 189332580772035
    assert next(drawn._of_all()).tolist() == [1, 1, 0, 1, 1, 1, 2, 1, 0, 0, 2, 2, 1, 0, 2, 0, 1, 1, 1, 2]


def test_too_few_rows_of_a_class_have_no_areas() -> None:
    labels = np.arange(90) < 4
    assert resampling(labels).areas(SCORES) is None
    assert resampling(~labels).areas(SCORES) is None
    assert resampling(np.arange(90) < 5).areas(SCORES) is not None


def test_scores_that_are_all_the_same_rank_half() -> None:
    assert resampling().areas(np.zeros(90)) == pytest.approx([0.5] * 200)
    assert len(resampling().areas(np.full(90, np.nan)) or []) == 200  # a model that came apart is judged all the same


@pytest.mark.parametrize("times", [0, MOST_REPLICATES + 1])
def test_replicates_are_neither_none_nor_many(times: int) -> None:
    with pytest.raises(ValueError, match="replicates"):
        resampling(times=times)
    with pytest.raises(ValueError, match="rows"):
        resampling(np.zeros(0, bool))


def test_two_hundred_replicates_of_three_hundred_rows_cost_milliseconds() -> None:
    labels, scores = CHANCE.random(300) < 0.4, CHANCE.random(300)

    def seconds() -> float:
        started = time.perf_counter()
        drawn = resampling(labels)
        drawn.shares(scores > 0.5)
        drawn.areas(scores)
        return time.perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.05


def test_many_rows_take_little_memory() -> None:
    rows = 20_000
    labels, scores = CHANCE.random(rows) < 0.4, CHANCE.random(rows)
    drawn = resampling(labels)
    tracemalloc.start()
    try:
        drawn.shares(scores > 0.5)
        drawn.areas(scores)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200 * rows, "a replicate at a time, not 200"
