"""The rows as a picture (SVG): our mean with the range over the seeds, and the published figure beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.reproduce.recipes import MAJORITY

LEFT, WIDTH, LINE, TOP = 210, 460, 24, 64
OURS, THEIRS, QUIET = "#1f6f8b", "#b3541e", "#c9d1d5"
TITLES = {"alone": "each alone", "central": "central", "full": "federated", "hybrid": "hybrid"}

Row = Mapping[str, Any]


def draw(rows: Sequence[Row]) -> str:
    """Two panels: the mean accuracy of the four centres, and the AUC of FL4E's rows."""
    accuracy = [_mark(row, row["accuracy"]["mean"], row["spread"]["mean_accuracy"], _flambys(row)) for row in rows]
    ranked = [row for row in rows if row["source"] != "flamby"]
    auc = [_mark(row, *_auc(row)) for row in ranked]
    first, height = _panel("Mean accuracy of the four centres", accuracy, (0.6, 0.9), TOP)
    second, height = _panel("AUC, as FL4E measures the row", auc, (0.7, 0.9), height + 60)
    legend = (
        f'<circle cx="20" cy="24" r="5" fill="{OURS}"/><text x="32" y="28">ours, with the range over the seeds</text>'
        f'<path d="M300 18l6 6-6 6-6-6z" fill="none" stroke="{THEIRS}" stroke-width="2"/><text x="314" y="28">published'
        f'</text><path d="M420 16v16" stroke="{QUIET}" stroke-width="2"/><text x="430" y="28">majority class</text>'
    )
    size = f'width="{LEFT + WIDTH + 70}" height="{height + 20}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>\n{legend}\n{first}\n{second}\n</svg>\n'
    )


Mark = tuple[str, float, Sequence[float], float | None]


def _mark(row: Row, value: float, span: Sequence[float], published: float | None) -> Mark:
    label = f"{row['source']}: {row['strategy']}, {TITLES[row['degree']]}"
    return label, value, span, published


def _flambys(row: Row) -> float | None:
    figures = row["published"].get("accuracy", {})
    return figures.get("mean") if "c0" in figures else None


def _auc(row: Row) -> tuple[float, Sequence[float], float | None]:
    measure = "auc_as_published" if "auc_as_published" in row else "auc_weighted"
    return row[measure], row["spread"][measure], row["published"].get("auc")


def _panel(title: str, marks: Sequence[Mark], scale: tuple[float, float], top: int) -> tuple[str, int]:
    """The panel, and where it ends."""
    low, high = scale
    bottom = top + LINE * len(marks)

    def x(value: float) -> float:
        return LEFT + WIDTH * (min(max(value, low), high) - low) / (high - low)

    parts = [f'<text x="10" y="{top - 14}" font-weight="bold">{title}</text>']
    ticks = [low + 0.05 * step for step in range(round((high - low) / 0.05) + 1)]
    for tick in ticks:
        parts.append(f'<path d="M{x(tick):.1f} {top}V{bottom}" stroke="#e6eaec"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle" fill="#555">{tick:.2f}</text>')
    if low < sum(MAJORITY) / len(MAJORITY) and title.startswith("Mean accuracy"):
        at = x(sum(MAJORITY) / len(MAJORITY))
        parts.append(f'<path d="M{at:.1f} {top}V{bottom}" stroke="{QUIET}" stroke-width="2"/>')
    for place, (label, value, span, published) in enumerate(marks):
        y = top + LINE * place + LINE / 2
        parts.append(f'<text x="10" y="{y + 4:.0f}">{label}</text>')
        parts.append(
            f'<path d="M{x(span[0]):.1f} {y}H{x(span[1]):.1f}" stroke="{OURS}" stroke-width="3" opacity="0.4"/>'
        )
        parts.append(f'<circle cx="{x(value):.1f}" cy="{y}" r="5" fill="{OURS}"/>')
        if published is not None:
            at = x(published)
            parts.append(f'<path d="M{at:.1f} {y - 6}l6 6-6 6-6-6z" fill="none" stroke="{THEIRS}" stroke-width="2"/>')
        parts.append(f'<text x="{LEFT + WIDTH + 12}" y="{y + 4:.0f}">{value:.3f}</text>')
    return "\n".join(parts), bottom + 20
