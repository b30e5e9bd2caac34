"""Models of several seeds: means and differences, and intervals that count how far the seeds lie apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fedstudy_core.bootstrap import Measure, difference, interval_of, interval_of_difference, over_seeds, student
from fedstudy_core.figures import (
    AUC,
    Metrics,
    ranking_difference,
    ranking_figure,
    site_difference,
    site_figure,
    weighted_difference,
    weighted_figure,
)
from fedstudy_core.resampling import Resampling
from tests.core.test_figures import bare, of_sites, report

NOISES = (0.05, 0.06, 0.08)  # of the models of three seeds
WORSE = (0.3, 0.34, 0.38)


@pytest.mark.parametrize("freedom", [1.0, 1.5, 2.0, 4.3, 30.0, 900.0])
def test_students_quantile_is_scipys(freedom: float) -> None:
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=2e-4)


def test_beyond_a_thousand_degrees_of_freedom_it_is_the_normal_one() -> None:
    assert student(1e6) == pytest.approx(stats.t.ppf(0.975, 1e6), rel=1e-5)


def test_the_mean_over_seeds_averages_draw_by_draw() -> None:
    tests = [
        Measure(value, 40, np.array([value, value + 0.1] * 50), (1, 2)) for value in (0.6, 0.8, 0.7)
    ]  # of two sites
    found = over_seeds(tests)
    assert found is not None and found.replicates is not None
    assert (found.value, found.rows, found.drawn, found.seeds) == (pytest.approx(0.7), 40, (1, 2), 3)
    assert found.deviation == pytest.approx(0.1)
    assert found.replicates[:2].tolist() == pytest.approx([0.7, 0.8])
    assert over_seeds(tests[:1]) is tests[0]
    assert over_seeds([]) is None
    other = over_seeds([*tests, Measure(0.7, 40, np.array([0.7, 0.8] * 50), (1, 3))])
    assert other is not None and (other.replicates, other.seeds) == (None, 4), "drawn otherwise"


def test_the_two_variances_are_added() -> None:
    replicates = np.linspace(-0.1, 0.1, 101)
    single = Measure(0.02, 40, replicates, 1)
    several = Measure(0.02, 40, replicates, 1, seeds=4, deviation=0.06)
    rows, seeds = float(np.var(replicates, ddof=1)), 0.06**2 / 4
    freedom = 3 * (1 + rows / seeds) ** 2
    reach = stats.t.ppf(0.975, freedom) * math.sqrt(rows + seeds)
    assert interval_of_difference(several) == pytest.approx((0.02 - reach, 0.02 + reach), rel=1e-4)
    alike = Measure(0.02, 40, replicates, 1, seeds=4, deviation=0.0)
    assert interval_of_difference(alike) == interval_of_difference(single), "seeds that agree add nothing"


def models(noises: tuple[float, ...], site: str = "Hungary", rows: int = 89) -> list[Metrics]:
    return [report(site, rows, noise) for noise in noises]


@pytest.mark.parametrize("name", ["accuracy", AUC])
def test_a_figure_tells_the_mean_and_how_the_seeds_lie_apart(name: str) -> None:
    tests = models(NOISES)
    values = [float(test[name]) for test in tests]  # type: ignore[arg-type]
    found = site_figure(tests, name)
    assert found is not None and found.low is not None and found.high is not None
    assert (found.value, found.seeds, found.replicates) == (pytest.approx(np.mean(values)), 3, 200)
    assert found.deviation == pytest.approx(np.std(values, ddof=1))
    assert found.low < found.value < found.high
    one = site_figure(tests[:1], name)
    assert one is not None and (one.seeds, one.deviation) == (1, None)


def test_without_replicates_the_seeds_intervals_are_averaged() -> None:
    tests = [bare(test) for test in models(NOISES)]
    each = [figure for test in tests if (figure := site_figure([test], AUC))]
    found = site_figure(tests, AUC)
    assert found is not None and found.replicates == 0
    assert found.low == pytest.approx(np.mean([figure.low for figure in each]))
    assert found.high == pytest.approx(np.mean([figure.high for figure in each]))
    ranked = ranking_figure([of_sites(noise) for noise in NOISES])
    assert ranked is not None and (ranked.seeds, ranked.rows) == (3, 238) and ranked.low is not None


@pytest.mark.parametrize("name", ["accuracy", AUC])
def test_differences_are_taken_seed_by_seed(name: str) -> None:
    good, bad = [of_sites(noise) for noise in NOISES], [of_sites(noise) for noise in WORSE]
    each = [figure.value for pair in zip(good, bad, strict=True) if (figure := _one_seed(*pair, name))]
    found = weighted_difference(good, bad, name)
    assert found is not None and found.low is not None and found.low > 0
    assert (found.value, found.deviation) == (pytest.approx(np.mean(each)), pytest.approx(np.std(each, ddof=1)))
    mean = weighted_figure(good, name)
    assert mean is not None and mean.seeds == 3 and mean.replicates == 200
    at_one = site_difference(models(NOISES), models(WORSE), name)
    assert at_one is not None and (at_one.seeds, at_one.replicates, at_one.rows) == (3, 200, 89)
    with pytest.raises(ValueError, match="argument"):
        weighted_difference(good, bad[:2], name)


def _one_seed(one: list[Metrics], other: list[Metrics], name: str) -> object:
    return weighted_difference([one], [other], name)


def test_one_ranking_has_the_mean_of_the_seeds_differences_and_no_interval() -> None:
    good, bad = [of_sites(noise) for noise in NOISES], [of_sites(noise) for noise in WORSE]
    found = ranking_difference(good, bad)
    assert found is not None and found.value > 0
    assert (found.low, found.seeds, found.replicates) == (None, 3, 0)
    assert found.deviation is not None


SAMPLES, ROWS, APART = 150, 90, 1.0


def seeds_of_two(chance: np.random.Generator, seeds: int) -> list[Measure]:
    """Differences in accuracy of two kinds of models that are equally good, but whose seeds lie far apart."""
    labels = chance.permutation(np.arange(ROWS) < ROWS // 2)
    signal = 1.5 * labels + chance.normal(size=ROWS)
    drawn = Resampling(chance.bytes(32), b"rows", labels, 200)
    found = []
    for _ in range(seeds):
        pair = []
        for _ in range(2):
            # A seed has learnt a threshold and a noise of its own.
            scores = signal + 0.4 * chance.normal(size=ROWS) + APART * chance.normal()
            right = (scores > 0.75) == labels
            pair.append(Measure(float(right.mean()), ROWS, np.asarray(drawn.shares(right)), drawn.identity))
        found.append(difference(*pair))
    return found


@pytest.mark.parametrize("seeds", [2, 3])
def test_an_interval_of_few_seeds_holds_where_test_rows_alone_would_not(seeds: int) -> None:
    """The true difference is 0. Over 150 samples at least 92 % hold it; by the test rows alone it is fewer."""
    held, by_rows = 0, 0
    for sample in range(SAMPLES):
        mean = over_seeds(seeds_of_two(np.random.default_rng(sample), seeds))
        assert mean is not None
        low, high = interval_of_difference(mean) or (0.0, 0.0)
        held += low <= 0 <= high
        narrow = interval_of_difference(Measure(mean.value, mean.rows, mean.replicates, mean.drawn)) or (0.0, 0.0)
        by_rows += narrow[0] <= 0 <= narrow[1]
    assert held >= 0.92 * SAMPLES, held
    assert by_rows < held


def test_a_mean_that_does_not_vary_has_no_interval() -> None:
    still = over_seeds([Measure(1.0, 40, np.ones(200), 1), Measure(1.0, 40, np.ones(200), 1)])
    assert still is not None and interval_of(still) is None and interval_of_difference(still) is None
