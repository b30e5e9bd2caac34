"""The page that tells the results, docs/results/fed-heart-disease.md: `page.txt` with the figures filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.reproduce.choosing import Judged
from bench.reproduce.reckoning import BEYOND, LOCAL, NAMES, POOLED, WITHIN

TEMPLATE = Path(__file__).with_name("page.txt")

Row = Mapping[str, Any]


def page(
    rows: Mapping[str, Row], judged: Sequence[Judged], verdict: Mapping[str, Any], facts: Mapping[str, Any]
) -> str:
    """The whole page, of all rows by key."""
    beyond, bars = rows[BEYOND], verdict["accuracy_at_least"]
    compared = [
        _plain("**this configuration**", beyond["accuracy"]),
        _plain("each alone", rows[LOCAL]["accuracy"]),
        _plain("pooled", rows[POOLED]["accuracy"]),
        _plain("best of alone, pooled and majority class, less .01", bars),
    ]
    least, most = beyond["spread"]["auc_weighted"]
    return TEMPLATE.read_text("utf-8").format(
        **facts,
        aim=WITHIN,
        flamby=_lines(_flamby(row) for row in rows.values() if "c0" in row["published"].get("accuracy", {})),
        fl4e=_lines(_fl4e(row) for row in rows.values() if row["source"] == "fl4e"),
        compared=_lines(compared),
        auc=_short(beyond["auc_weighted"]),
        auc_least=_short(least),
        auc_most=_short(most),
        ranking=_short(beyond["auc_pooled_ranking"]),
        auc_bar=_short(verdict["auc_above"]),
        met="met" if verdict["met"] else "**not met**",
        judged=_lines(map(_judged, judged)),
        within=f"{max(row['auc_pooled_ranking_within'] for row in rows.values()):.4f}",
    )


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _flamby(row: Row) -> str:
    published = row["published"]["accuracy"]
    cells = [f"{_short(row['accuracy'][name])} ({_short(published[name])})" for name in (*NAMES, "mean")]
    difference = f"{row['largest_difference']:.3f}" if "largest_difference" in row else ""
    deviation = " ".join(_short(row["spread"]["accuracy"][name]) for name in NAMES)
    title = row["strategy"] if row["source"] == "flamby" else f"{row['strategy']}, handed on (ours)"
    return f"| {title} | {' | '.join(cells)} | {difference} | {deviation} |"


def _fl4e(row: Row) -> str:
    least, most = row["spread"]["auc_as_published"]
    cells = [
        f"{row['degree']}, {row['strategy']}",
        f"{_short(row['auc_as_published'])} ({_short(row['published']['auc'])})",
        f"{_short(least)} to {_short(most)}",
        _short(row["auc_weighted"]),
        _short(row["auc_pooled_ranking"]),
        f"{_short(row['accuracy']['weighted'])} ({_short(row['published']['accuracy']['mean'])})",
    ]
    return f"| {' | '.join(cells)} |"


def _plain(title: str, shares: Mapping[str, float]) -> str:
    return f"| {title} | {' | '.join(_short(shares[name]) for name in NAMES)} |"


def _judged(judged: Judged) -> str:
    shares = " | ".join(_short(share) for share in judged.accuracy)
    return f"| {judged.log_loss:.4f} | {shares} | {' | '.join(judged.way.words)} |"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
