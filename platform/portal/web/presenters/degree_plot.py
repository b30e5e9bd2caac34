"""Performance against the degree of federation, as the points of a drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from federation.degrees.reckoning import DegreeRow, Degrees
from fedstudy_core.figures import Figure
from portal.web.formats import share
from portal.web.presenters.charts import series_number

COLUMN, HEIGHT, SPREAD = 110, 240, 9  # units of the drawing
MARKS = 6


@dataclass(frozen=True)
class Point:
    """A site's figure, or that of all (`series` 0), with the ends of its interval where there is one."""

    name: str
    series: int
    x: float
    y: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Column:
    """One degree: its middle, its name in at most two lines, the share of rows that stay, and its points."""

    x: float
    words: tuple[str, ...]
    degree: str
    sites: tuple[Point, ...]
    weighted: Point | None


@dataclass(frozen=True)
class Plot:
    """The drawing, `width` by `HEIGHT` without its labels; `line` joins the weighted means."""

    width: int
    height: int
    columns: tuple[Column, ...]
    ticks: tuple[tuple[float, str], ...]
    line: str

    @property
    def shown_width(self) -> int:
        """How wide the drawing stands on a page, in pixels: its words are as large whatever the number of degrees."""
        return round((self.width + 52) * 1.25)


def plot_of(found: Degrees, names: Sequence[str]) -> Plot | None:
    """None where there are fewer than two degrees to draw, or no figure."""
    figures = [figure for row in found.rows for figure in (*row.sites, row.weighted) if figure]
    if len(found.rows) < 2 or not figures:
        return None
    first, last = _scale(figures)
    columns = tuple(
        _column(row, name, found.sites, (place + 0.5) * COLUMN, (first, last))
        for place, (row, name) in enumerate(zip(found.rows, names, strict=True))
    )
    drawn = [column.weighted for column in columns if column.weighted]
    ticks = tuple((_height(value, (first, last)), f"{value:.1f}") for value in marks_between(first, last))
    line = " ".join(f"{point.x:.1f},{point.y:.1f}" for point in drawn)
    return Plot(COLUMN * len(columns), HEIGHT, columns, ticks, line)


def _scale(figures: Sequence[Figure]) -> tuple[float, float]:
    """Whole tenths around all figures; what an interval reaches beyond is cut."""
    low = math.floor(min(figure.value for figure in figures) * 10 - 0.5) / 10
    high = math.ceil(max(figure.value for figure in figures) * 10 + 0.5) / 10
    if min(figure.value for figure in figures) >= 0 and max(figure.value for figure in figures) <= 1:
        return max(low, 0.0), min(high, 1.0)
    return low, high


def marks_between(first: float, last: float) -> tuple[float, ...]:
    """Whole tenths from the first on, at most `MARKS` of them beside it."""
    tenths = round((last - first) * 10)
    step = next(step for step in (1, 2, 5, *range(10, tenths + 10, 10)) if tenths <= MARKS * step)
    return tuple(round(first + number / 10, 1) for number in range(0, tenths + 1, step))


def _height(value: float, scale: tuple[float, float]) -> float:
    low, high = scale
    return round(HEIGHT * (1 - (min(max(value, low), high) - low) / (high - low)), 1)


def _column(row: DegreeRow, name: str, sites: Sequence[str], x: float, scale: tuple[float, float]) -> Column:
    begin = x - SPREAD * (len(sites) - 1) / 2 - SPREAD
    points = tuple(
        _point(sites[place], series_number(place), begin + SPREAD * place, figure, scale)
        for place, figure in enumerate(row.sites)
        if figure
    )
    at = begin + SPREAD * len(sites) + SPREAD / 2
    weighted = _point("", 0, at, row.weighted, scale) if row.weighted else None
    head, _, rest = name.partition(" (")
    words = (head, rest.rstrip(")")[:20]) if rest else (head,)
    return Column(x, words, share(row.degree), points, weighted)


def _point(name: str, series: int, x: float, figure: Figure, scale: tuple[float, float]) -> Point:
    low, high = figure.low, figure.high
    return Point(
        name,
        series,
        round(x, 1),
        _height(figure.value, scale),
        None if low is None else _height(low, scale),
        None if high is None else _height(high, scale),
    )
