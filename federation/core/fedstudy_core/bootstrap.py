"""Intervals from bootstrap replicates that sites report of their tests (`resampling`): of one site, of several, paired.

A figure's interval is the bias-corrected one of percentiles, a difference's the standard one: of the usual intervals
those that held best for tests of 16 to 90 rows (`tests/core/test_bootstrap.py`). Over several seeds both are of the
mean; what `interval_of_difference` says of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from fedstudy_core.evaluation import CONFIDENCE
from fedstudy_core.metrics import REPLICATES_OF, WEIGHT, Metric, replicates_name

LEAST_REPLICATES = 50
MOST_HELD_FIXED = 0.1  # share of the rows whose sites may lack replicates in a mean with an interval
_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf((1 + CONFIDENCE) / 2)
_CERTAIN = 1e-12
_STEPS = 4000  # of the integral under Student's distribution
_NEARLY_NORMAL = 1000.0  # degrees of freedom: beyond these its quantile is the normal one's to a thousandth

Drawn = int | tuple["Drawn | None", ...]
Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Measure:
    """A measure of one model on one site's test rows, or the difference of two on the same rows, or a mean of sites'.

    Attributes:
        rows: that were tested.
        replicates: (times,) of the measure; None where there are none.
        drawn: which rows were drawn how, of a mean by site; only replicates of the same are paired. None where nobody
            says.
        seeds: whose mean it is.
        deviation: of the seeds' values from it (of the sample); None of a single one.
    """

    value: float
    rows: int
    replicates: Floats | None = None
    drawn: Drawn | None = None
    seeds: int = 1
    deviation: float | None = None

    @property
    def times(self) -> int:
        """How many replicates there are."""
        return 0 if self.replicates is None else len(self.replicates)


def read_test(metrics: Mapping[str, Metric], name: str) -> Measure | None:
    """A metric of a site's test with its replicates; None where the site did not report the metric as a number."""
    value, rows, drawn = metrics.get(name), metrics.get(WEIGHT), metrics.get(REPLICATES_OF)
    if not isinstance(value, int | float):
        return None
    told = metrics.get(replicates_name(name))
    usable = isinstance(told, Sequence) and len(told) >= LEAST_REPLICATES and isinstance(drawn, int)
    return Measure(
        value=float(value),
        rows=round(rows) if isinstance(rows, int | float) else 0,
        replicates=np.asarray(told, float) if usable else None,
        drawn=drawn if isinstance(drawn, int) else None,
    )


def are_paired(one: Measure, other: Measure) -> bool:
    """Whether both were measured over the same draws of the same rows, so that their replicates can be subtracted."""
    return one.drawn is not None and one.drawn == other.drawn and one.times == other.times > 0


def difference(one: Measure, other: Measure) -> Measure:
    """`one` less `other`; with replicates where the two are paired."""
    if not are_paired(one, other) or one.replicates is None or other.replicates is None:
        return Measure(one.value - other.value, one.rows, None, one.drawn)
    return Measure(one.value - other.value, one.rows, one.replicates - other.replicates, one.drawn)


def weighted(tests: Sequence[Measure]) -> Measure | None:
    """The mean of sites, weighted by the rows that they tested; None of no rows.

    Sites draw independently of each other, so that the mean of their replicates is one of the mean. A site without
    replicates (few rows, or few of a class) is held fixed at its value, as long as such sites have no more than a tenth
    of the rows; otherwise the mean has none either, nor where sites drew differently often.
    """
    rows = sum(test.rows for test in tests)
    if not rows:
        return None
    value = sum(test.value * test.rows for test in tests) / rows
    fixed = sum(test.rows for test in tests if test.replicates is None)
    times = {test.times for test in tests if test.replicates is not None}
    if fixed > MOST_HELD_FIXED * rows or len(times) != 1:
        return Measure(value, rows)
    parts = [(test.value if test.replicates is None else test.replicates) * test.rows for test in tests]
    replicates = np.asarray(sum(parts, np.zeros(times.pop())) / rows, float)
    return Measure(value, rows, replicates, tuple(test.drawn for test in tests))


def over_seeds(tests: Sequence[Measure]) -> Measure | None:
    """The mean of one measure of runs that differ in their seed alone; None of none.

    The same rows are drawn whatever the seed, so that replicates are averaged draw by draw: they say how the mean
    would change with other test rows. Without replicates where one of the tests has none, or was drawn otherwise.
    """
    if len(tests) < 2:
        return tests[0] if tests else None
    values, first = [test.value for test in tests], tests[0]
    stacked = [test.replicates for test in tests if test.replicates is not None]
    alike = all(are_paired(first, test) for test in tests)
    return replace(
        first,
        value=math.fsum(values) / len(values),
        replicates=np.mean(stacked, axis=0) if alike else None,
        seeds=len(values),
        deviation=float(np.std(values, ddof=1)),
    )


def percentile(replicates: Floats) -> Interval:
    """The percentile interval (Efron and Tibshirani 1993, 13.3)."""
    return _between(replicates, (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


def bias_corrected(replicates: Floats, value: float, acceleration: float = 0.0) -> Interval:
    """The interval of percentiles corrected for bias, and by an acceleration (BCa; Efron 1987, 2.3).

    Replicates that equal the value count half below it: measures of few rows have many such.

    Args:
        acceleration: a sixth of the skewness of the jackknife's values; 0 where nobody knows it.
    """
    below = float(np.mean(replicates < value - _CERTAIN) + np.mean(replicates <= value + _CERTAIN)) / 2
    edge = 1 / (2 * len(replicates))
    bias = _NORMAL.inv_cdf(min(max(below, edge), 1 - edge))
    shares = [bias + (bias + z) / (1 - acceleration * (bias + z)) for z in (-_Z, _Z)]
    return _between(replicates, _NORMAL.cdf(shares[0]), _NORMAL.cdf(shares[1]))


def standard(replicates: Floats, value: float) -> Interval:
    """The normal interval by the replicates' own deviation (Efron and Tibshirani 1993, 13.2)."""
    reach = _Z * float(np.std(replicates, ddof=1))
    return value - reach, value + reach


def _between(replicates: Floats, low: float, high: float) -> Interval:
    found = np.quantile(replicates, [low, high])
    return float(found[0]), float(found[1])


def interval_of(test: Measure) -> Interval | None:
    """Of a figure; None without replicates, or where they do not vary: a model that is always right says little."""
    if test.replicates is None or float(np.ptp(test.replicates)) <= _CERTAIN:
        return None
    return bias_corrected(test.replicates, test.value)


def interval_of_difference(test: Measure) -> Interval | None:
    """Of the difference of two models; None without replicates, or where they do not vary.

    Over m seeds it is of the difference that is to be expected of any seed on other rows. Two things vary: the test
    rows, by the variance V of the mean's replicates, and the seeds, by B/m, where B is the variance of the seeds'
    differences on the same rows. The two are added, and the interval is Student's with (m-1)(1 + V m/B)^2 degrees of
    freedom (Satterthwaite 1946, for a sum of variances of which one is estimated from m values; Rubin 1987, 3.3, joins
    variances within and between imputations in the same form). What V has of the seeds counts twice, so that the
    interval is rather too wide.
    """
    if test.replicates is None or float(np.ptp(test.replicates)) <= _CERTAIN:
        return None
    if not test.deviation:
        return standard(test.replicates, test.value)
    of_rows, of_seeds = float(np.var(test.replicates, ddof=1)), test.deviation**2 / test.seeds
    freedom = (test.seeds - 1) * (1 + of_rows / of_seeds) ** 2
    reach = student(freedom) * math.sqrt(of_rows + of_seeds)
    return test.value - reach, test.value + reach


@lru_cache(maxsize=1024)
def student(freedom: float) -> float:
    """Between minus and plus what Student's t lies at `CONFIDENCE`, for 1 or more degrees of freedom (any number).

    With t = sqrt(freedom) tan(angle) its density is cos(angle)^(freedom - 1), but for a factor.
    """
    if freedom > _NEARLY_NORMAL:
        return _Z
    step = math.pi / 2 / _STEPS
    angles = (np.arange(_STEPS) + 0.5) * step
    below = np.cumsum(np.cos(angles) ** (freedom - 1))
    angle = float(np.interp(CONFIDENCE * below[-1], below, angles + step / 2))
    return math.sqrt(freedom) * math.tan(angle)
