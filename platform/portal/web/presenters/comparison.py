"""Runs side by side as the page shows them and as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext as _

from federation.runs.comparing import AREA, Comparison, Metric, SiteScore
from federation.runs.models import Run
from portal.web.formats import duration, score, size, value_text
from portal.web.presenters.charts import POOLED, Chart, metric_name, pooled_name

CHARTS = 4


@dataclass(frozen=True)
class Cell:
    """One run's value: its text, what stands small below it, and whether it is the best of the row."""

    text: str
    sub: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a table with a cell for each run; `group` is said once for rows that follow each other."""

    name: str
    cells: tuple[Cell, ...]
    group: str = ""


@dataclass(frozen=True)
class ComparisonPage:
    """The tables and charts of the page."""

    runs: tuple[Run, ...]
    settings: tuple[Line, ...]
    metrics: tuple[Line, ...]
    sites: tuple[Line, ...]
    efforts: tuple[Line, ...]
    charts: tuple[Chart, ...]


def present_comparison(found: Comparison) -> ComparisonPage:
    """The comparison as tables with texts."""
    return ComparisonPage(
        runs=found.runs,
        settings=tuple(Line(row.name, tuple(Cell(_setting(value)) for value in row.values)) for row in found.settings),
        metrics=tuple(_metric(metric) for metric in found.metrics),
        sites=tuple(_site(row.name, row.site, row.scores) for row in found.sites),
        efforts=tuple(_efforts(found)),
        charts=tuple(_chart(found.runs, metric) for metric in found.metrics[:CHARTS]),
    )


def _setting(value: Any) -> str:
    return "–" if value is None or value == "" else ", ".join(value) if isinstance(value, list) else value_text(value)


def _metric(metric: Metric) -> Line:
    best = _best(metric.best, metric.better)
    cells = []
    for position, last in enumerate(metric.last):
        number, value = metric.best_round[position], metric.best[position]
        told = _("best {value} in round {number}").format(value=score(value), number=number)
        cells.append(Cell(score(last), told if number is not None else "", position in best))
    return Line(metric_name(metric.name), tuple(cells))


def _best(values: Sequence[float | None], better: str) -> set[int]:
    known = {position: value for position, value in enumerate(values) if value is not None}
    if not better or len(set(known.values())) < 2:
        return set()
    chosen = (min if better == "lower" else max)(known.values())
    return {position for position, value in known.items() if value == chosen}


def _site(name: str, site: str, scores: Sequence[SiteScore | None]) -> Line:
    cells = tuple(Cell(score(item.value), _interval(item)) if item else Cell("–") for item in scores)
    return Line(site or pooled_name(), cells, _("Area under the curve") if name == AREA else metric_name(name))


def _interval(item: SiteScore) -> str:
    if item.low is None:
        return ""
    return _("{low} to {high}").format(low=score(item.low), high=score(item.high))


def _efforts(found: Comparison) -> Iterator[Line]:
    told = {
        _("Rounds committed"): [str(item.rounds) for item in found.efforts],
        _("Median round"): [duration(item.median_round_ms) for item in found.efforts],
        _("From start to end"): [duration(item.duration_ms) for item in found.efforts],
        _("Sent to sites"): [size(item.bytes_sent) for item in found.efforts],
        _("Came back"): [size(item.bytes_received) for item in found.efforts],
    }
    for name, values in told.items():
        yield Line(name, tuple(Cell(value) for value in values))


def _chart(runs: Sequence[Run], metric: Metric) -> Chart:
    rounds = sorted({number for line in metric.curves for number in line})
    rows = tuple((number, tuple(line.get(number) for line in metric.curves)) for number in rounds)
    columns = tuple(f"{position}. {run.label}" for position, run in enumerate(runs, start=1))
    return Chart(f"compared-{metric.name}", metric_name(metric.name), "evaluate", columns, rows)


def comparison_record(found: Comparison) -> dict[str, Any]:
    """The whole comparison, its lists in the order of the runs."""
    return {
        "runs": [{"id": str(run.pk), "label": run.label, "state": run.state} for run in found.runs],
        "settings": [asdict(row) for row in found.settings],
        "metrics": [asdict(row) for row in found.metrics],
        "sites": [asdict(row) for row in found.sites],
        "efforts": [asdict(row) for row in found.efforts],
    }


def comparison_records(found: Comparison) -> list[dict[str, Any]]:
    """One row for each figure of each run."""
    return list(_records(found))


def _records(found: Comparison) -> Iterator[dict[str, Any]]:
    for position, run in enumerate(found.runs):
        of_run = {"run": str(run.pk), "label": run.label}
        for setting in found.settings:
            yield {**of_run, "kind": "setting", "name": setting.name, "value": setting.values[position]}
        for metric in found.metrics:
            figure = {**of_run, "name": metric.name, "site": ""}
            yield {**figure, "kind": "last", "value": metric.last[position]}
            yield {**figure, "kind": "best", "value": metric.best[position], "round": metric.best_round[position]}
        for row in found.sites:
            item = row.scores[position]
            if item is not None:
                yield {**of_run, "kind": "site", "name": row.name, "site": row.site or POOLED, **asdict(item)}
        for name, value in asdict(found.efforts[position]).items():
            yield {**of_run, "kind": "effort", "name": name, "value": value}
