"""Figures from counts of scores agree with those of the rows themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core.evaluation import area, best_threshold, calibration, errors_at, share

COUNTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=30)


def binned(scores: np.ndarray, bins: int) -> list[int]:
    return np.bincount((scores * bins).astype(int), minlength=bins).tolist()


def placements(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's structural components from single rows, written down as in the paper."""
    wins = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    return wins.mean(axis=1), wins.mean(axis=0)


def test_the_interval_is_delongs_of_the_rows() -> None:
    random = np.random.default_rng(7)
    positive, negative = random.beta(4, 2, 60), random.beta(2, 4, 90)
    bins = 200
    coarse = [np.floor(scores * bins) / bins for scores in (positive, negative)]
    per_positive, per_negative = placements(*coarse)
    value = per_positive.mean()
    error = math.sqrt(per_positive.var(ddof=1) / 60 + per_negative.var(ddof=1) / 90)
    found = area(binned(positive, bins), binned(negative, bins))
    assert found is not None and found.interval is not None
    assert found.value == pytest.approx(value, abs=1e-12)
    reach = 1.959963984540054 * error / (value * (1 - value))
    logit = math.log(value / (1 - value))
    expected = [1 / (1 + math.exp(-(logit + sign * reach))) for sign in (-1, 1)]
    assert found.interval == pytest.approx(expected, abs=1e-12)


def test_perfect_and_lonely_rows_have_no_interval() -> None:
    assert area([0, 0, 5], [5, 0, 0]).interval is None  # type: ignore[union-attr]
    assert area([0, 1, 0], [3, 0, 1]).interval is None  # type: ignore[union-attr]
    assert area([1, 2], [0, 0]) is None
    assert area([1, 2], [1, 2, 3]) is None


@given(COUNTS)
def test_areas_turn_around_with_the_classes(pairs: list[tuple[int, int]]) -> None:
    positives, negatives = [p for p, _ in pairs], [n for _, n in pairs]
    found, turned = area(positives, negatives), area(negatives, positives)
    if not sum(positives) or not sum(negatives):
        assert found is None and turned is None
        return
    assert found is not None and turned is not None
    assert found.value + turned.value == pytest.approx(1)
    if found.interval is not None and turned.interval is not None:
        assert 0 <= found.interval[0] <= found.value <= found.interval[1] <= 1
        assert found.interval[0] == pytest.approx(1 - turned.interval[1])


# Newcombe 1998, table I, method 3
@pytest.mark.parametrize(
    ("part", "whole", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
)
def test_shares_have_the_published_intervals(part: int, whole: int, low: float, high: float) -> None:
    found = share(part, whole)
    assert found is not None
    assert found.interval == pytest.approx((low, high), abs=5e-5)
    assert share(0, 0) is None


def test_errors_are_counted_from_the_threshold_on() -> None:
    errors = errors_at([1, 2, 3, 4], [40, 30, 20, 10])
    assert errors is not None
    assert (errors.threshold, errors.true_positives, errors.false_negatives) == (0.5, 7, 3)
    assert (errors.false_positives, errors.true_negatives) == (30, 70)
    assert errors.sensitivity is not None and errors.sensitivity.value == 0.7
    assert errors.specificity is not None and errors.specificity.value == 0.7
    assert errors.precision is not None and errors.precision.value == pytest.approx(7 / 37)
    assert errors.negative_precision is not None and errors.negative_precision.value == pytest.approx(70 / 73)


@given(COUNTS)
def test_no_threshold_is_better_than_the_best(pairs: list[tuple[int, int]]) -> None:
    positives, negatives = [p for p, _ in pairs], [n for _, n in pairs]
    best = best_threshold(positives, negatives)
    if best is None:
        return

    def gain(threshold: float) -> float:
        errors = errors_at(positives, negatives, threshold)
        assert errors is not None and errors.sensitivity is not None and errors.specificity is not None
        return errors.sensitivity.value + errors.specificity.value

    bins = len(positives)
    assert gain(best) == pytest.approx(max(gain(edge / bins) for edge in range(bins + 1)))


def test_scores_that_are_probabilities_are_calibrated() -> None:
    every = [100] * 10
    positives = [5, 15, 25, 35, 45, 55, 65, 75, 85, 95]
    found = calibration(positives, [all_ - some for all_, some in zip(every, positives, strict=True)])
    assert found is not None
    assert found.error == pytest.approx(0)
    assert found.predicted == pytest.approx(found.observed) == pytest.approx(0.5)
    assert found.brier == pytest.approx(np.mean([p / 100 * (1 - p / 100) for p in positives]))
    assert [group.rows for group in found.groups] == every


def test_scores_that_promise_too_much_show_it() -> None:
    found = calibration([0, 0, 0, 10], [0, 0, 0, 30])
    assert found is not None
    assert (found.predicted, found.observed, found.error) == (0.875, 0.25, pytest.approx(0.625))
    assert len(found.groups) == 1
