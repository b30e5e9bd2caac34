"""A comparison of degrees as files for a paper: a table for spreadsheets, and one for LaTeX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.degrees.kinds import OF_ONE_SITE
from federation.degrees.reckoning import DegreeRow, Degrees
from fedstudy_core.figures import Figure
from portal.web.presenters.charts import POOLED, metric_name
from portal.web.presenters.degrees import row_name

COLUMNS = (
    "degree", "strategy", "pooled_sites", "share_local", "metric", "site", "measure", "value", "low", "high",
    "test_rows", "replicates", "seeds", "deviation", "rows_trained_least", "rows_trained_most", "rows_exposed",
    "seconds", "bytes",
)  # fmt: skip
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    letter: f"\\{letter}" for letter in "&%$#_{}"
}


def degree_records(found: Degrees) -> list[dict[str, Any]]:
    """One row for each figure: of every site and of all, the values, the gains, and what each site has of it."""
    return [*_records(found), *_contributions(found)]


def _records(found: Degrees) -> Iterator[dict[str, Any]]:
    for row in found.rows:
        strategy = "" if row.kind in OF_ONE_SITE else row.strategy  # one site may have averaged itself
        about = {
            "degree": row.kind, "strategy": strategy, "pooled_sites": ", ".join(row.pooled_sites),
            "share_local": row.degree, "metric": found.metric, "rows_trained_least": row.trained[0],
            "rows_trained_most": row.trained[1], "rows_exposed": row.exposed, "seconds": row.seconds,
            "bytes": row.bytes,
        }  # fmt: skip
        for site, figure, gain in zip(found.sites, row.sites, row.gains, strict=True):
            yield from _told(about | {"site": site}, {"value": figure, "gain": gain})
        together = {"weighted": row.weighted, "weighted gain": row.weighted_gain}
        yield from _told(
            about | {"site": POOLED}, together | {"one ranking": row.ranking, "one ranking gain": row.ranking_gain}
        )


def _contributions(found: Degrees) -> Iterator[dict[str, Any]]:
    for item in found.contributions:
        about = {"degree": found.base, "metric": found.metric, "site": item.site}
        yield from _told(
            about,
            {
                "gain over own": item.over_own, "gain over pooled": item.over_pooled,
                "own rows to itself": item.over_unseen, "own rows to others": item.to_others,
            },
        )  # fmt: skip
        for model in item.personalised:
            yield from _told(about | {"strategy": model.strategy}, {"personalised gain over own": model.over_own})


def _told(about: dict[str, Any], figures: dict[str, Figure | None]) -> Iterator[dict[str, Any]]:
    for measure, figure in figures.items():
        if figure is not None:
            yield {
                **about, "measure": measure, "value": figure.value, "low": figure.low, "high": figure.high,
                "test_rows": figure.rows, "replicates": figure.replicates, "seeds": figure.seeds,
                "deviation": figure.deviation,
            }  # fmt: skip


def degree_latex(found: Degrees) -> str:
    """The table by degree, for the package booktabs."""
    head = ["Degree", "Local", *found.sites, "Weighted", "Ranking", "Gain", "Exposed"]
    lines = [" & ".join(map(_escaped, head)), *(" & ".join(_cells(row)) for row in found.rows)]
    body = " \\\\\n".join([lines[0] + " \\\\ \\midrule\n" + lines[1], *lines[2:]]) if len(lines) > 1 else lines[0]
    caption = _escaped(f"{found.comparison.label}: {metric_name(found.metric)} by degree of federation{_seeds(found)}")
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}\n"
        f"\\toprule\n{body} \\\\\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _seeds(found: Degrees) -> str:
    most = max((len(row.seeds) for row in found.rows), default=1)
    return f", mean and standard deviation of {most} seeds" if most > 1 else ""


def _cells(row: DegreeRow) -> list[str]:
    local = "--" if row.degree is None else f"{100 * row.degree:.0f}\\,\\%"
    figures = [*row.sites, row.weighted, row.ranking]
    return [_escaped(row_name(row)), local, *map(_figure, figures), _figure(row.weighted_gain, "+"), str(row.exposed)]


def _figure(figure: Figure | None, sign: str = "") -> str:
    if figure is None:
        return "--"
    apart = "" if figure.deviation is None else f" \\pm {figure.deviation:.3f}"
    value = f"${figure.value:{sign}.3f}{apart}$"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [${figure.low:{sign}.3f}$, ${figure.high:{sign}.3f}$]"


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(letter, letter) for letter in text)
