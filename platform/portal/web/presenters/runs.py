"""The run page as values, from the run's summary and its rounds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from federation.runs.models import RECEIVED, SENT, Participation, Round, Run
from federation.runs.queue import Place, place_of
from federation.runs.selectors import RunSummary, Series
from federation.runs.states import LIVE
from fedstudy_core.codes import CODES
from fedstudy_core.metrics import NEGATIVES, POSITIVES, WEIGHT, roc
from portal.web.advice import said
from portal.web.presenters.charts import (
    Chart,
    RocCurve,
    Spark,
    chart,
    metric_name,
    pooled_name,
    roc_curve,
    series_number,
    sparks,
)
from portal.web.presenters.evaluation import EvaluationCard, present_evaluation

PHASES = {
    "sums": gettext_noop("Exact sums"),
    "initial": gettext_noop("First model"),
    "train": gettext_noop("Training"),
    "evaluate": gettext_noop("Test"),
    "start": gettext_noop("Start"),
}
LATEST_ROUNDS = 20
POOLED_AUC = "pooled-auc"


@dataclass(frozen=True)
class Trouble:
    """A site that did not answer as hoped, with the rule's code and its sentence."""

    site: str
    phase: str
    state: str
    code: str
    sentence: str


@dataclass(frozen=True)
class RoundRow:
    """One line of the round table; times in milliseconds, sizes in bytes.

    Attributes:
        trained: sites that trained, where others only tested; None where all trained.
        rounding_sent, rounding_received: the largest rounding of a number on its way; empty where none was rounded.
    """

    number: int
    title: str
    state: str
    asked: int
    done: int
    troubles: tuple[Trouble, ...]
    headline: float | None
    bytes_sent: int
    bytes_received: int
    duration_ms: int | None
    committed_at: dt.datetime | None
    model: str
    key: str
    is_best: bool = False
    trained: int | None = None
    rounding_sent: str = ""
    rounding_received: str = ""


@dataclass(frozen=True)
class Best:
    """The best round so far by the metric that the run watches."""

    round: int
    metric: str
    better: str
    value: float | None


@dataclass(frozen=True)
class ResultRow:
    """A site's figures, or those of all sites, in the order of the table's columns."""

    name: str
    series: int
    round: int | None
    trained: int | None
    tested: int | None
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Results:
    """The table of results after the last committed round."""

    columns: tuple[str, ...]
    rows: tuple[ResultRow, ...]
    pooled: ResultRow | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunPage:
    """What changes while a run works: the live part of its page."""

    state: str
    is_live: bool
    committed: int
    total: int
    median_round_ms: int | None
    awaited: tuple[Any, ...]
    charts: tuple[Chart, ...]
    headline: str
    headline_is_mean: bool
    sparks: tuple[Spark, ...]
    rounds: tuple[RoundRow, ...]
    hidden_rounds: int
    results: Results
    curves: tuple[RocCurve, ...]
    evaluation: EvaluationCard | None = None
    bytes_sent: int = 0
    bytes_received: int = 0
    troubles: int = 0
    mark: str = ""
    place: Place | None = None
    best: Best | None = None

    @property
    def listens(self) -> bool:
        """Whether anything may still change: what failed or was stopped can be resumed."""
        return self.state != "completed"

    @property
    def tone(self) -> str:
        return {"completed": "ok", "failed": "bad", "stopped": "idle", "paused": "idle"}.get(self.state, "")


def phase_name(phase: str) -> str:
    """A phase of a round as people call it."""
    return _(PHASES[phase]) if phase in PHASES else phase


def present_run(run: Run, summary: RunSummary, rounds: Sequence[Round], *, mark: str, all_rounds: bool) -> RunPage:
    """The live part of the run page; ``all_rounds`` shows the whole round table instead of its end."""
    names = site_names(rounds, summary)
    rows = [present_round(item, summary.headline, best=run.best_round) for item in reversed(rounds)]
    shown = rows if all_rounds else rows[:LATEST_ROUNDS]
    return RunPage(
        state=run.state,
        is_live=run.state in LIVE and run.state != "paused",
        committed=summary.committed,
        total=summary.total,
        median_round_ms=summary.median_round_ms,
        awaited=tuple(summary.awaited),
        charts=present_charts(summary.series, names, summary.headline),
        headline=metric_name(summary.headline) if summary.headline else "",
        headline_is_mean=run.version.declaration.get("metrics", {}).get(summary.headline, "mean") == "mean",
        sparks=sparks(_lines(summary.series, names, summary.headline)),
        rounds=tuple(shown),
        hidden_rounds=len(rows) - len(shown),
        results=present_results(summary, names, run.version.declaration.get("metrics", {})),
        curves=present_curves(summary, rounds, names),
        evaluation=present_evaluation(summary.evaluation, names),
        bytes_sent=sum(row.bytes_sent for row in rows),
        bytes_received=sum(row.bytes_received for row in rows),
        troubles=sum(len(row.troubles) for row in rows),
        mark=mark,
        place=place_of(run),
        best=present_best(run, rounds),
    )


def site_names(rounds: Sequence[Round], summary: RunSummary) -> tuple[str, ...]:
    """Every site that was asked anything, in the run's order: it gives colours that never change."""
    found: dict[str, int] = {}
    for round_ in rounds:
        for row in round_.participations.all():
            found[row.participant.enrolment.site.name] = row.participant.position
    for item in summary.sites:
        found.setdefault(item.site, len(found))
    return tuple(sorted(found, key=lambda name: (found[name], name)))


def present_charts(series: Iterable[Series], names: Sequence[str], headline: str) -> tuple[Chart, ...]:
    """One chart a metric and phase, the headline first and the tests before the training."""
    pooled: dict[tuple[str, str], dict[int, float]] = {}
    sites: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for line in series:
        key, values = (line.phase, line.metric), dict(zip(line.rounds, line.values, strict=True))
        if line.site:
            sites.setdefault(key, {name: {} for name in names})[line.site] = values
        else:
            pooled[key] = values
    order = sorted({*pooled, *sites}, key=lambda key: (key[1] != headline, key[0] != "evaluate", key[1]))
    return tuple(chart(key[1], key[0], pooled.get(key, {}), sites.get(key, {})) for key in order)


def _lines(series: Iterable[Series], names: Sequence[str], metric: str) -> dict[str, dict[int, float]]:
    found = {
        line.site: dict(zip(line.rounds, line.values, strict=True))
        for line in series
        if line.site and line.metric == metric and line.phase == "evaluate"
    }
    return {name: found[name] for name in names if name in found}


def present_best(run: Run, rounds: Iterable[Round]) -> Best | None:
    """The best round, with its value for all sites."""
    values = [
        _number(item.metrics.get("evaluate", {}).get(run.metric))
        for item in rounds
        if item.number == run.best_round and item.state != "failed"
    ]
    if run.best_round is None or not values:
        return None
    return Best(run.best_round, metric_name(run.metric), run.better, values[0])


def present_round(round_: Round, headline: str, *, best: int | None = None) -> RoundRow:
    """One line of the round table."""
    rows = list(round_.participations.all())
    asked = {row.participant_id for row in rows}
    fallen = {row.participant_id for row in rows if row.state != "done"}
    return RoundRow(
        number=round_.number,
        title=_("Round {number}").format(number=round_.number) if round_.number else _("Preparation"),
        state=round_.state,
        asked=len(asked),
        done=len(asked - fallen),
        troubles=tuple(present_trouble(row) for row in rows if row.state in ("refused", "failed", "missing")),
        headline=_number(round_.metrics.get("evaluate", {}).get(headline)),
        bytes_sent=round_.bytes_sent,
        bytes_received=round_.bytes_received,
        duration_ms=round_.duration_ms,
        committed_at=round_.committed_at,
        model=round_.model_out.sha256 if round_.model_out else "",
        key=f"{round_.number}" if round_.state != "failed" else f"{round_.number}-failed-{round_.pk}",
        is_best=round_.number == best and round_.state != "failed",
        trained=_trained(rows) if round_.number else None,
        rounding_sent=_largest_rounding(rows, SENT),
        rounding_received=_largest_rounding(rows, RECEIVED),
    )


def _trained(rows: Iterable[Participation]) -> int | None:
    rows = list(rows)
    if all(row.participant.trains for row in rows):
        return None
    return sum(row.phase == "train" and row.state == "done" for row in rows)


def _largest_rounding(rows: Iterable[Participation], way: str) -> str:
    return max((row.rounding[way]["absolute"] for row in rows if way in row.rounding), key=float, default="")


def present_trouble(row: Participation) -> Trouble:
    """Why a site is not among the answers, in a sentence."""
    sentence = row.detail or said(CODES.get(row.code, ""))
    return Trouble(row.participant.enrolment.site.name, phase_name(row.phase), row.state, row.code, sentence)


HOW_COMBINED = {
    "mean": gettext_noop("mean of the sites, weighted by the rows that each tested"),
    "sum": gettext_noop("sum of the sites"),
    "min": gettext_noop("lowest of the sites"),
    "max": gettext_noop("highest of the sites"),
}


def pooled_notes(metrics: Iterable[str], kinds: Mapping[str, str]) -> Iterator[str]:
    """How each figure of all sites together came about; figures of one name may differ by that."""
    metrics = list(metrics)
    for kind, words in HOW_COMBINED.items():
        chosen = [metric_name(name) for name in metrics if kinds.get(name, "mean") == kind and name != POOLED_AUC]
        if chosen:
            yield f"{', '.join(chosen)}: {_(words)}."
    if POOLED_AUC in metrics:
        words = _(
            "{metric}: the test rows of all sites ranked together by their scores, from counts in bins. "
            "It is the area under the curve of all sites below, and differs from the mean of the sites' own AUCs."
        )
        yield words.format(metric=metric_name(POOLED_AUC))


def present_results(summary: RunSummary, names: Sequence[str], kinds: Mapping[str, str]) -> Results:
    """Sites below each other, all together at the end."""
    found = {metric for item in summary.sites for metric in item.metrics} | set(summary.pooled)
    metrics = sorted(found - {WEIGHT}, key=lambda name: (name != summary.headline, "auc" not in name, name))
    by_name = {item.site: item for item in summary.sites}
    rows = tuple(
        ResultRow(
            item.site,
            series_number(names.index(item.site)),
            item.round,
            item.examples,
            _count(item.metrics.get(WEIGHT)),
            tuple(_number(item.metrics.get(name)) for name in metrics),
        )
        for item in (by_name[name] for name in names if name in by_name)
    )
    notes = tuple(pooled_notes((name for name in metrics if name in summary.pooled), kinds))
    return Results(tuple(metric_name(name) for name in metrics), rows, _pooled_row(summary, metrics, rows), notes)


def _pooled_row(summary: RunSummary, metrics: Sequence[str], rows: Sequence[ResultRow]) -> ResultRow | None:
    if not summary.pooled:
        return None
    trained = [row.trained for row in rows if row.trained is not None]
    values = tuple(_number(summary.pooled.get(name)) for name in metrics)
    tested = _count(summary.pooled.get(WEIGHT))
    return ResultRow(pooled_name(), 0, summary.committed, sum(trained) if trained else None, tested, values)


def present_curves(summary: RunSummary, rounds: Sequence[Round], names: Sequence[str]) -> tuple[RocCurve, ...]:
    """The pooled curve and each site's, where the script reports score histograms."""
    if summary.curve is None:
        return ()
    whole = summary.curve
    curves = [roc_curve(pooled_name(), 0, whole.auc, whole.false_positive_rates, whole.true_positive_rates)]
    committed = [item for item in rounds if item.state == "committed" and item.number > 0]
    for row in committed[-1].participations.all() if committed else ():
        if row.phase == "evaluate" and row.state == "done" and POSITIVES in row.metrics and NEGATIVES in row.metrics:
            name = row.participant.enrolment.site.name
            found = roc(row.metrics[POSITIVES], row.metrics[NEGATIVES])
            if found is not None:
                series = series_number(names.index(name))
                curves.append(roc_curve(name, series, found.auc, found.false_positive_rates, found.true_positive_rates))
    return tuple(curves)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _count(value: Any) -> int | None:
    return round(value) if isinstance(value, int | float) else None
