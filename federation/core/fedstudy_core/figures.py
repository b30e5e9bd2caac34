"""Figures of models that sites tested, each with its interval where there is one, and differences between two models.

Everything is made of what sites report of a test: plain metrics, `num-examples`, and counts of scores. A mean over
sites weighs them by the rows that they tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedstudy_core.evaluation import Estimate, area
from fedstudy_core.metrics import NEGATIVES, POSITIVES, WEIGHT, Metric

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
    """A metric of one site's test; None where the site did not report it."""
    counted = _area([metrics]) if name == AUC else None
    told = _number(metrics, name)
    if told is None:
        return None if counted is None else _figure(counted.value, counted.interval, [metrics])
    return _figure(told, counted.interval if counted else None, [metrics])


def weighted_figure(sites: Sequence[Metrics], name: str) -> Figure | None:
    """The mean of the sites that report a metric, weighted by the rows that they tested; None where none does."""
    found = [(figure, site) for site in sites if (figure := site_figure(site, name)) is not None and figure.rows]
    if not found:
        return None
    value = float(np.average([figure.value for figure, _ in found], weights=[figure.rows for figure, _ in found]))
    return _figure(value, None, [site for _, site in found])


def ranking_figure(sites: Sequence[Metrics]) -> Figure | None:
    """The area under the curve of all sites' test rows in one ranking, from their score counts; None without these."""
    found = _area(sites)
    return None if found is None else _figure(found.value, found.interval, sites)


def site_difference(one: Metrics, other: Metrics, name: str) -> Figure | None:
    """A metric of one model less that of another, tested on the same rows of a site."""
    return _difference(site_figure(one, name), site_figure(other, name))


def weighted_difference(ones: Sequence[Metrics], others: Sequence[Metrics], name: str) -> Figure | None:
    """The same of the weighted means of several sites, which stand in the same order."""
    return _difference(weighted_figure(ones, name), weighted_figure(others, name))


def ranking_difference(ones: Sequence[Metrics], others: Sequence[Metrics]) -> Figure | None:
    """The same of the areas of all rows in one ranking."""
    return _difference(ranking_figure(ones), ranking_figure(others))


def _difference(one: Figure | None, other: Figure | None) -> Figure | None:
    return None if one is None or other is None else Figure(one.value - other.value, rows=one.rows)


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
