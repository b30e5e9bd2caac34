"""Tables and line charts as HTML and SVG, for notebooks: plain text, no scripts, nothing to install."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from math import isfinite
from typing import Any

Point = tuple[float, float]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 200, 58, 12, 26, 34
# Okabe and Ito's colours, which people tell apart who see few colours.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
TICKS = 4


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str = "", best: Any = ()) -> str:
    """An HTML table.

    Args:
        best: cells to stand out, as pairs of row and column.
    """
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(f"<tr>{_cells(row, number, best)}</tr>" for number, row in enumerate(rows))
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: Sequence[object], number: int, best: Any) -> str:
    shown = [f"<b>{text}</b>" if (number, at) in best else text for at, text in enumerate(map(_cell, row))]
    return "".join(f'<th scope="row">{text}</th>' if at == 0 else f"<td>{text}</td>" for at, text in enumerate(shown))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return escape(f"{value:.6g}" if isinstance(value, float) else str(value))


@dataclass(frozen=True)
class Chart:
    """Lines over one axis, as SVG.

    Attributes:
        title: what the values are.
        series: points (x, y) by name, in the order of x; values that are not finite are left out.
    """

    title: str
    series: Mapping[str, Sequence[Point]]

    @property
    def svg(self) -> str:
        """The picture, with a description for those who do not see it."""
        lines = {name: [point for point in points if isfinite(point[1])] for name, points in self.series.items()}
        every = [point for points in lines.values() for point in points]
        if not every:
            return ""
        (left, right), (low, high) = _span([x for x, _ in every]), _span([y for _, y in every])
        frame = _Frame(left, right, low, high)
        drawn = "".join(_line(frame, points, COLOURS[at % len(COLOURS)]) for at, points in enumerate(lines.values()))
        words = escape(
            f"{self.title}: {', '.join(f'{name} ends at {pts[-1][1]:.4g}' for name, pts in lines.items() if pts)}"
        )
        size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{words}" '
            f'font-family="sans-serif" font-size="11" fill="currentColor">'
            f'<text x="{LEFT}" y="15" font-weight="bold">{escape(self.title)}</text>'
            f"{frame.axes()}{drawn}{_legend(list(lines))}</svg>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}


@dataclass(frozen=True)
class _Frame:
    """The ranges that a chart shows, and where on the picture a point of them lies."""

    left: float
    right: float
    low: float
    high: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.left) / (self.right - self.left) * (WIDTH - LEFT - RIGHT)
        up = (y - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
        return round(LEFT + across, 1), round(HEIGHT - BOTTOM - up, 1)

    def axes(self) -> str:
        """Lines and numbers at the sides."""
        drawn = []
        for step in range(TICKS + 1):
            share = step / TICKS
            value = self.low + share * (self.high - self.low)
            _, y = self.at(self.left, value)
            drawn.append(
                f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity=".2"/>'
                f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.4g}</text>'
            )
        foot = HEIGHT - BOTTOM + 16
        drawn.append(f'<text x="{LEFT}" y="{foot}">{self.left:g}</text>')
        drawn.append(f'<text x="{WIDTH - RIGHT}" y="{foot}" text-anchor="end">{self.right:g}</text>')
        return "".join(drawn)


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest value, a little apart where they are the same."""
    low, high = min(values), max(values)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _line(frame: _Frame, points: Sequence[Point], colour: str) -> str:
    places = [frame.at(x, y) for x, y in points]
    if not places:
        return ""
    way = " ".join(f"{x},{y}" for x, y in places)
    x, y = places[-1]
    dot = f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>'
    return f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="1.8"/>{dot}'


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    drawn, x = [], float(LEFT)
    for at, name in enumerate(names):
        short = name if len(name) <= 18 else f"{name[:17]}…"
        drawn.append(f'<path d="M{x:g} {HEIGHT - 6}h12" stroke="{COLOURS[at % len(COLOURS)]}" stroke-width="3"/>')
        drawn.append(f'<text x="{x + 16:g}" y="{HEIGHT - 2}">{escape(short)}</text>')
        x += 28 + 6.5 * len(short)
    return "".join(drawn)
