"""Intervals from bootstrap replicates that sites report of their tests (`resampling`): of one site, of several, paired.

A figure's interval is the bias-corrected one of percentiles, a difference's the standard one: of the usual intervals
those that held best for tests of 16 to 90 rows (`tests/core/test_bootstrap.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Measure:
    """A measure of one model on one site's test rows, or the difference of two on the same rows, or a mean of sites'.

    Attributes:
        rows: that were tested.
        replicates: (times,) of the measure; None where there are none.
        drawn: which rows were drawn how; only replicates of the same are paired. None where nobody says.
    """

    value: float
    rows: int
    replicates: Floats | None = None
    drawn: int | None = None

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
    return Measure(value, rows, replicates)


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
    """Of the difference of two models; None without replicates, or where they do not vary."""
    if test.replicates is None or float(np.ptp(test.replicates)) <= _CERTAIN:
        return None
    return standard(test.replicates, test.value)
