"""Figures of models that sites tested, each with its interval where there is one, and differences between two models.

Everything is made of what sites report of a test: plain metrics, `num-examples`, counts of scores, and replicates. A
mean over sites weighs them by the rows that they tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedstudy_core.bootstrap import (
    Measure,
    difference,
    interval_of,
    interval_of_difference,
    read_test,
    weighted,
)
from fedstudy_core.evaluation import Estimate, area
from fedstudy_core.metrics import NEGATIVES, POSITIVES, REPLICATES_OF, WEIGHT, Metric

AUC = "auc"  # score counts give it where a script does not report it

Metrics = Mapping[str, Metric]


@dataclass(frozen=True)
class Figure:
    """A value with its interval of 95 %.

    Attributes:
        rows: test rows that it stands on.
        replicates: of the bootstrap that gave the interval; 0 for a closed form, or no interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    rows: int = 0
    replicates: int = 0


def site_figure(metrics: Metrics, name: str) -> Figure | None:
    """A metric of one site's test; None where the site did not report it.

    Its interval is the bootstrap's where the site sent replicates, and else, of an area, that of DeLong.
    """
    counted = _area([metrics]) if name == AUC else None
    told = read_test(metrics, name)
    if told is None:
        return None if counted is None else _figure(counted.value, counted.interval, [metrics])
    interval = interval_of(told)
    if interval is None:
        return _figure(told.value, counted.interval if counted else None, [metrics])
    return Figure(told.value, *interval, rows=told.rows, replicates=told.times)


def weighted_figure(sites: Sequence[Metrics], name: str) -> Figure | None:
    """The mean of the sites that report a metric, weighted by the rows that they tested; None where none does."""
    tests = [test for site in sites if (test := _test(site, name)) is not None]
    mean = weighted(tests)
    return None if mean is None else _of(mean, interval_of(mean))


def ranking_figure(sites: Sequence[Metrics]) -> Figure | None:
    """The area under the curve of all sites' test rows in one ranking, from their score counts; None without these."""
    found = _area(sites)
    return None if found is None else _figure(found.value, found.interval, sites)


def are_of_other_rows(one: Metrics, other: Metrics) -> bool:
    """Whether a site says that it tested two models on other rows: then they do not differ by themselves alone."""
    keys = [metrics.get(REPLICATES_OF) for metrics in (one, other)]
    return one.get(WEIGHT) != other.get(WEIGHT) or (None not in keys and keys[0] != keys[1])


def site_difference(one: Metrics, other: Metrics, name: str) -> Figure | None:
    """A metric of one model less that of another, tested by a site on the same rows, that were drawn alike.

    Without an interval where they are not the same, or no replicates say so.
    """
    found = _test(one, name), _test(other, name)
    if found[0] is None or found[1] is None:
        return None
    apart = difference(found[0], found[1])
    return _of(apart, interval_of_difference(apart))


def weighted_difference(ones: Sequence[Metrics], others: Sequence[Metrics], name: str) -> Figure | None:
    """The same of the weighted means of several sites, which stand in the same order.

    Raises:
        ValueError: for one of more sites than the other.
    """
    pairs = list(zip(ones, others, strict=True))
    both = [(first, second) for pair in pairs if (first := _test(pair[0], name)) and (second := _test(pair[1], name))]
    mean = weighted([difference(*pair) for pair in both])
    if mean is None:
        return None
    same = not any(are_of_other_rows(*pair) for pair in pairs)
    return _of(mean, interval_of_difference(mean) if same else None)


def ranking_difference(ones: Sequence[Metrics], others: Sequence[Metrics]) -> Figure | None:
    """The same of the areas of all rows in one ranking, without an interval: no site can draw from others' rows."""
    one, other = ranking_figure(ones), ranking_figure(others)
    return None if one is None or other is None else Figure(one.value - other.value, rows=one.rows)


def _test(metrics: Metrics, name: str) -> Measure | None:
    """What a site says of a metric; an area that it does not tell comes from its score counts."""
    told = read_test(metrics, name)
    counted = _area([metrics]) if told is None and name == AUC else None
    return told if counted is None else Measure(counted.value, round(_number(metrics, WEIGHT) or 0))


def _of(measure: Measure, interval: tuple[float, float] | None) -> Figure:
    if interval is None:
        return Figure(measure.value, rows=measure.rows)
    return Figure(measure.value, *interval, rows=measure.rows, replicates=measure.times)


def _figure(value: float, interval: tuple[float, float] | None, sites: Sequence[Metrics]) -> Figure:
    low, high = interval or (None, None)
    return Figure(value, low, high, rows=sum(round(_number(site, WEIGHT) or 0) for site in sites))


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
