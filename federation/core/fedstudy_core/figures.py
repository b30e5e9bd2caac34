"""Figures of models that sites tested, each with its interval where there is one, and differences between two models.

Everything is made of what sites report of a test: plain metrics, `num-examples`, counts of scores, and replicates. A
mean over sites weighs them by the rows that they tested. Models may be trained with several seeds: then there is a test
of each, and a figure is the mean over them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from fedstudy_core.bootstrap import (
    Interval,
    Measure,
    difference,
    interval_of,
    interval_of_difference,
    over_seeds,
    read_test,
    weighted,
)
from fedstudy_core.evaluation import Estimate, area
from fedstudy_core.metrics import NEGATIVES, POSITIVES, REPLICATES_OF, WEIGHT, Metric

AUC = "auc"  # score counts give it where a script does not report it

Metrics = Mapping[str, Metric]
Sites = Sequence[Metrics]


@dataclass(frozen=True)
class Figure:
    """A value with its interval of 95 %.

    Attributes:
        rows: test rows that it stands on.
        replicates: of the bootstrap that gave the interval; 0 for a closed form, or no interval.
        seeds: whose mean it is.
        deviation: of the seeds' values (of the sample); None of a single one.
    """

    value: float
    low: float | None = None
    high: float | None = None
    rows: int = 0
    replicates: int = 0
    seeds: int = 1
    deviation: float | None = None


def site_figure(tests: Sequence[Metrics], name: str) -> Figure | None:
    """A metric of one site's tests, of each seed one; None where the site did not report it.

    Its interval is the bootstrap's where the site sent replicates, and else, of an area, that of DeLong. Of several
    seeds it says how the mean of just these would change with other test rows; `deviation` says how they lie apart.
    """
    told = [(test, measure) for test in tests if (measure := _test(test, name))]
    mean = over_seeds([measure for _, measure in told])
    if mean is None:
        return None
    found = interval_of(mean)
    if found is None and name == AUC:
        return _of(mean, _mean_interval([_area([test]) for test, _ in told]), replicates=0)
    return _of(mean, found)


def weighted_figure(tests: Sequence[Sites], name: str) -> Figure | None:
    """The mean of the sites that report a metric, weighted by the rows that they tested; None where none does.

    Args:
        tests: of each seed those of the same sites.
    """
    means = [weighted([test for site in sites if (test := _test(site, name))]) for sites in tests]
    mean = over_seeds([item for item in means if item])
    return None if mean is None else _of(mean, interval_of(mean))


def ranking_figure(tests: Sequence[Sites]) -> Figure | None:
    """The area under the curve of all sites' test rows in one ranking, from their score counts; None without these."""
    found = [_area(sites) for sites in tests]
    areas = [Measure(area.value, _rows(sites)) for sites, area in zip(tests, found, strict=True) if area]
    mean = over_seeds(areas)
    return None if mean is None else _of(mean, _mean_interval([item for item in found if item]))


def _mean_interval(found: Sequence[Estimate | None]) -> Interval | None:
    """Of the mean over seeds, from each seed's own interval: their mean, None where one has none.

    The mean's deviation is at most the mean of the deviations (Cauchy-Schwarz), which it is where other rows would
    change all seeds alike.
    """
    ends = [item.interval for item in found if item and item.interval]
    if not ends or len(ends) < len(found):
        return None
    return fmean(low for low, _ in ends), fmean(high for _, high in ends)


def are_of_other_rows(one: Metrics, other: Metrics) -> bool:
    """Whether a site says that it tested two models on other rows: then they do not differ by themselves alone."""
    keys = [metrics.get(REPLICATES_OF) for metrics in (one, other)]
    return one.get(WEIGHT) != other.get(WEIGHT) or (None not in keys and keys[0] != keys[1])


def site_difference(ones: Sequence[Metrics], others: Sequence[Metrics], name: str) -> Figure | None:
    """A metric of one model less that of another, tested by a site on the same rows, that were drawn alike.

    Without an interval where they are not the same, or no replicates say so.

    Args:
        ones, others: by seed, in the same order.
    """
    pairs = [(_test(one, name), _test(other, name)) for one, other in zip(ones, others, strict=True)]
    apart = over_seeds([difference(one, other) for one, other in pairs if one and other])
    return None if apart is None else _of(apart, interval_of_difference(apart))


def weighted_difference(ones: Sequence[Sites], others: Sequence[Sites], name: str) -> Figure | None:
    """The same of the weighted means of several sites, which stand in the same order at every seed.

    Raises:
        ValueError: for one of more sites or seeds than the other.
    """
    seeds = [list(zip(one, other, strict=True)) for one, other in zip(ones, others, strict=True)]
    means = [weighted([item for pair in pairs if (item := _difference(*pair, name))]) for pairs in seeds]
    mean = over_seeds([item for item in means if item])
    if mean is None:
        return None
    same = not any(are_of_other_rows(*pair) for pairs in seeds for pair in pairs)
    return _of(mean, interval_of_difference(mean) if same else None)


def ranking_difference(ones: Sequence[Sites], others: Sequence[Sites]) -> Figure | None:
    """The same of the areas of all rows in one ranking, without an interval.

    What varies there is how each site's rows rank among those of the others; no site can draw from others' rows, and
    replicates of the sites' own areas do not tell it.
    """
    pairs = [(_area(one), _area(other)) for one, other in zip(ones, others, strict=True)]
    apart = over_seeds([Measure(one.value - other.value, _rows(ones[0])) for one, other in pairs if one and other])
    return None if apart is None else _of(apart, None)


def _difference(one: Metrics, other: Metrics, name: str) -> Measure | None:
    first, second = _test(one, name), _test(other, name)
    return difference(first, second) if first and second else None


def _test(metrics: Metrics, name: str) -> Measure | None:
    """What a site says of a metric; an area that it does not tell comes from its score counts."""
    told = read_test(metrics, name)
    counted = _area([metrics]) if told is None and name == AUC else None
    return told if counted is None else Measure(counted.value, _rows([metrics]))


def _of(measure: Measure, interval: Interval | None, *, replicates: int | None = None) -> Figure:
    """The figure of a measure; `replicates` gave the interval, those of the measure unless something else did."""
    low, high = interval or (None, None)
    used = measure.times if replicates is None else replicates
    return Figure(
        value=measure.value,
        low=low,
        high=high,
        rows=measure.rows,
        replicates=used if interval else 0,
        seeds=measure.seeds,
        deviation=measure.deviation,
    )


def _rows(sites: Sites) -> int:
    return sum(round(_number(site, WEIGHT) or 0) for site in sites)


def _number(metrics: Metrics, name: str) -> float | None:
    value = metrics.get(name)
    return float(value) if isinstance(value, int | float) else None


def _area(sites: Sequence[Metrics]) -> Estimate | None:
    """Of the score counts of sites together; None where one of them has none, or they are in different bins."""
    counts: list[np.ndarray] = []
    for name in (POSITIVES, NEGATIVES):
        told = [site.get(name) for site in sites]
        lists = [item for item in told if isinstance(item, Sequence)]
        if not lists or len(lists) < len(told) or len({len(item) for item in lists}) > 1:
            return None
        counts.append(np.sum(np.asarray(lists, float), axis=0))
    positives, negatives = counts
    return area(positives.tolist(), negatives.tolist())
