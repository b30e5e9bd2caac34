"""Intervals from replicates agree with scipy's, hold as often as they say, and pair only what can be paired."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from fedstudy_core.bootstrap import (
    Measure,
    are_paired,
    bias_corrected,
    difference,
    interval_of,
    interval_of_difference,
    percentile,
    read_test,
    standard,
    weighted,
)
from fedstudy_core.resampling import Resampling

TIMES = 200
VALUES = st.lists(st.floats(0, 1, width=32), min_size=50, max_size=60)


def measure(value: float, rows: int, replicates: object = None, drawn: int | None = 1) -> Measure:
    return Measure(value, rows, None if replicates is None else np.asarray(replicates, float), drawn)


def test_percentiles_are_scipys() -> None:
    sample = np.random.default_rng(3).exponential(size=60)
    theirs = bootstrap((sample,), np.mean, n_resamples=999, method="percentile", random_state=np.random.default_rng(4))
    found = percentile(theirs.bootstrap_distribution)
    assert found == pytest.approx(tuple(theirs.confidence_interval))


def test_bias_corrected_and_accelerated_is_scipys() -> None:
    sample = np.random.default_rng(3).exponential(size=60)
    theirs = bootstrap((sample,), np.mean, n_resamples=999, method="BCa", random_state=np.random.default_rng(4))
    away = sample.mean() - sample  # of the jackknife's values from their mean, but for a factor
    acceleration = -((away**3).sum()) / (6 * (away**2).sum() ** 1.5)
    found = bias_corrected(theirs.bootstrap_distribution, float(sample.mean()), acceleration)
    assert found == pytest.approx(tuple(theirs.confidence_interval), rel=1e-6)


def test_the_standard_one_is_reckoned_by_hand() -> None:
    assert standard(np.array([1.0, 2.0, 3.0]), 2.5) == pytest.approx((2.5 - 1.959964, 2.5 + 1.959964), abs=1e-5)


@given(VALUES)
def test_an_interval_of_percentiles_lies_within_the_replicates(values: list[float]) -> None:
    replicates = np.array(values)
    value = float(np.mean(replicates))
    low, high = bias_corrected(replicates, value)
    assert replicates.min() <= low <= high <= replicates.max()
    turned = bias_corrected(1 - replicates, 1 - value)
    assert turned == pytest.approx((1 - high, 1 - low), abs=1e-6)


@given(VALUES, VALUES)
def test_a_difference_turns_around_with_its_models(first: list[float], second: list[float]) -> None:
    length = min(len(first), len(second))
    one, other = measure(0.7, 60, first[:length]), measure(0.6, 60, second[:length])
    there, back = interval_of_difference(difference(one, other)), interval_of_difference(difference(other, one))
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        assert there == pytest.approx((-back[1], -back[0]))
    assert interval_of_difference(difference(one, one)) is None


def metrics(**changed: object) -> dict[str, object]:
    told = {"auc": 0.8, "num-examples": 90, "auc-replicates": [0.7, 0.8] * 50, "replicates-of": 12, **changed}
    return {name.replace("_", "-"): value for name, value in told.items() if value is not None}


def test_replicates_count_only_with_whose_they_are() -> None:
    found = read_test(metrics(), "auc")  # type: ignore[arg-type]
    assert found is not None
    assert (found.value, found.rows, found.times, found.drawn) == (0.8, 90, 100, 12)
    nameless = metrics()
    del nameless["replicates-of"]
    for told in (nameless, {**metrics(), "auc-replicates": [0.8] * 49}, {**metrics(), "auc-replicates": 0.8}):
        bare = read_test(told, "auc")  # type: ignore[arg-type]
        assert bare is not None and bare.replicates is None and interval_of(bare) is None
    assert read_test(metrics(auc=None), "auc") is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "paired"),
    [
        (measure(0.6, 90, [0.5, 0.6] * 50, 12), True),
        (measure(0.6, 90, [0.5, 0.6] * 50, 13), False),
        (measure(0.6, 91, [0.5, 0.6] * 50, 12), True),
        (measure(0.6, 90, [0.5, 0.6] * 40, 12), False),
        (measure(0.6, 90, None, 12), False),
        (measure(0.6, 90, [0.5, 0.6] * 50, None), False),
    ],
)
def test_only_the_same_rows_drawn_alike_are_paired(other: Measure, paired: bool) -> None:
    one = measure(0.8, 90, [0.7, 0.8] * 50, 12)
    assert are_paired(one, other) == paired
    found = difference(one, other)
    assert found.value == pytest.approx(0.2)
    assert (found.replicates is not None) == paired


def test_a_mean_of_sites_is_weighted_by_rows_and_so_are_its_replicates() -> None:
    sites = [measure(0.8, 30, [0.8, 0.9] * 50, 1), measure(0.5, 90, [0.6, 0.4] * 50, 2)]
    found = weighted(sites)
    assert found is not None and found.replicates is not None
    assert found.value == pytest.approx(0.575)
    assert found.replicates[:2].tolist() == pytest.approx([0.65, 0.525])
    assert found.rows == 120


def test_a_small_site_without_replicates_is_held_fixed_and_a_large_one_is_not() -> None:
    varied = [0.8, 0.9] * 50
    small = weighted([measure(0.8, 90, varied, 1), measure(1.0, 10, None, None)])
    assert small is not None and small.replicates is not None
    assert small.replicates[:2].tolist() == pytest.approx([0.82, 0.91])
    large = weighted([measure(0.8, 90, varied, 1), measure(1.0, 11, None, None)])
    assert large is not None and large.replicates is None
    assert large.value == pytest.approx((72 + 11) / 101)
    uneven = weighted([measure(0.8, 90, varied, 1), measure(0.8, 90, varied[:-1], 2)])
    assert uneven is not None and uneven.replicates is None
    assert weighted([]) is None


def test_a_model_that_is_always_right_has_no_interval() -> None:
    assert interval_of(measure(1.0, 40, [1.0] * TIMES)) is None


def simulate(chance: np.random.Generator, rows: int) -> tuple[Measure, Measure, Measure, Measure]:
    """Accuracy and AUC of two models, one better, on a site's test rows."""
    labels = chance.permutation(np.arange(rows) < rows // 2)
    signal = 1.5 * labels + chance.normal(size=rows)
    drawn = Resampling(chance.bytes(32), b"rows", labels, TIMES)
    found = []
    for noise in (0.6, 0.9):
        scores = signal + noise * chance.normal(size=rows)
        right = (scores > 0.75) == labels
        positive, negative = scores[labels], scores[~labels]
        area = float((positive[:, None] > negative).mean())
        found += [
            measure(float(right.mean()), rows, drawn.shares(right), drawn.identity),
            measure(area, rows, drawn.areas(scores), drawn.identity),
        ]
    return found[0], found[1], found[2], found[3]


def truth(noise: float) -> tuple[float, float]:
    """Accuracy and AUC of a model of `simulate`, over all rows that there could be (the binormal model)."""
    deviation = (1 + noise**2) ** 0.5
    return NormalDist().cdf(0.75 / deviation), NormalDist().cdf(1.5 / (2**0.5 * deviation))


def test_intervals_hold_as_often_as_they_say() -> None:
    """Over 300 samples of 90 rows: of 95 %, chance alone leaves between 91.3 and 98 (99 times of a hundred)."""
    (accuracy, area), (worse_accuracy, worse_area) = truth(0.6), truth(0.9)
    wanted = [accuracy, area, accuracy - worse_accuracy, area - worse_area]
    held = np.zeros(4)
    for seed in range(300):
        one, ranked, other, other_ranked = simulate(np.random.default_rng(seed), 90)
        found = [interval_of(one), interval_of(ranked)]
        found += [interval_of_difference(difference(*pair)) for pair in ((one, other), (ranked, other_ranked))]
        pairs = zip(found, wanted, strict=True)
        held += [interval is not None and interval[0] <= value <= interval[1] for interval, value in pairs]
    assert (held / 300).tolist() == pytest.approx([0.95] * 4, abs=0.035), held


def test_pairing_narrows_a_difference() -> None:
    one, _, other, _ = simulate(np.random.default_rng(5), 300)
    assert one.replicates is not None and other.replicates is not None
    apart = np.hypot(np.std(one.replicates), np.std(other.replicates))
    paired = difference(one, other)
    assert paired.replicates is not None and np.std(paired.replicates) < 0.9 * apart
