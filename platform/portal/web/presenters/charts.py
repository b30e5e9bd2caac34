"""Charts as values: a table per metric that the browser draws, small lines and curves as SVG points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

POOLED = gettext_noop("All sites")
SERIES_COLOURS = 8

METRIC_NAMES = {
    "auc": gettext_noop("AUC"),
    "pooled-auc": gettext_noop("AUC, one ranking over all rows"),
    "accuracy": gettext_noop("Accuracy"),
    "loss": gettext_noop("Test loss"),
    "train-loss": gettext_noop("Training loss"),
    "num-examples": gettext_noop("Rows"),
}


def metric_name(name: str) -> str:
    """A metric as people call it; unknown ones keep the script's name with its dashes taken out."""
    known = METRIC_NAMES.get(name)
    return _(known) if known else name.replace("-", " ").replace("_", " ").capitalize()


def pooled_name() -> str:
    """What a page calls all sites together; files keep `POOLED`."""
    return _(POOLED)


def series_number(position: int) -> int:
    """The colour and dash of the site at that position, counted from 1; they repeat after eight."""
    return position % SERIES_COLOURS + 1


@dataclass(frozen=True)
class Chart:
    """One metric over the rounds.

    Attributes:
        columns: all sites together and then the sites, in the page's order.
        rows: round number and a value for each column, None where there is none.
        latest: the newest value of all sites together.
    """

    key: str
    title: str
    phase: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int, tuple[float | None, ...]], ...]

    @property
    def latest(self) -> float | None:
        return self.rows[-1][1][0] if self.rows else None


@dataclass(frozen=True)
class Spark:
    """A small line of one site, on a grid of 100 by 30, over the other sites' lines in grey."""

    site: str
    series: int
    points: str
    others: tuple[str, ...]
    latest: float | None


@dataclass(frozen=True)
class RocCurve:
    """One curve on a grid of 300 by 300, the origin at the lower left."""

    name: str
    series: int
    points: str
    auc: float


Values = Mapping[int, float]


def chart(key: str, phase: str, pooled: Values, sites: Mapping[str, Values]) -> Chart:
    """A chart's table from each line's values by round."""
    rounds = sorted(set(pooled).union(*sites.values()))
    lines = [pooled, *sites.values()]
    rows = tuple((number, tuple(line.get(number) for line in lines)) for number in rounds)
    return Chart(f"{phase}-{key}", metric_name(key), phase, (pooled_name(), *sites), rows)


def sparks(sites: Mapping[str, Values]) -> tuple[Spark, ...]:
    """Each site's line on one common scale, so that sites compare by eye."""
    everything = [value for line in sites.values() for value in line.values()]
    if not everything:
        return ()
    bounds = (min(everything), max(everything))
    last = max(number for line in sites.values() for number in line)
    drawn = {site: _line(line, bounds, last) for site, line in sites.items()}
    return tuple(
        Spark(
            site,
            series_number(position),
            drawn[site],
            tuple(points for other, points in drawn.items() if other != site),
            line[max(line)] if line else None,
        )
        for position, (site, line) in enumerate(sites.items())
    )


def _line(line: Values, bounds: tuple[float, float], last: int) -> str:
    low, high = bounds
    span = (high - low) or 1.0
    width = max(last - 1, 1)
    return _points((100 * (number - 1) / width, 28 - 26 * (line[number] - low) / span) for number in sorted(line))


def roc_curve(
    name: str, series: int, auc: float, false_rates: Sequence[float], true_rates: Sequence[float]
) -> RocCurve:
    """A curve's points from its rates, both in [0, 1]."""
    return RocCurve(
        name, series, _points((300 * x, 300 - 300 * y) for x, y in zip(false_rates, true_rates, strict=True)), auc
    )


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)
