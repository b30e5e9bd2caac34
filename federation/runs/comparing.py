"""Runs of a study side by side: the settings in which they differ, what came out, at which site, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, prefetch_related_objects

from accounts.models import User
from accounts.permissions import Permission, check
from federation.runs.evaluation import Evaluation, newest_evaluation
from federation.runs.models import Participation, Round, Run
from federation.runs.phases import EVALUATE
from federation.runs.selectors import runs_for
from fedstudy_core import metrics as measures
from fedstudy_core.errors import Invalid, NotFound
from fedstudy_core.metrics import WEIGHT
from studies.lifecycle.models import Study

FEWEST, MOST = 2, 6
SETTINGS = (
    *("strategy", "rounds", "quorum", "deadline_s", "wait_s", "priority", "transport"),
    *("metric", "better", "patience", "min_delta", "parent_round"),
)


@dataclass(frozen=True)
class Setting:
    """A setting in which the runs differ; None where a run has none of that name."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class SiteScore:
    """A site's value of a metric after the last round that it tested, with an interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Metric:
    """A metric of all sites together: by run the last value, the best with its round, and all by round."""

    name: str
    better: str
    last: tuple[float | None, ...]
    best: tuple[float | None, ...]
    best_round: tuple[int | None, ...]
    curves: tuple[Mapping[int, float], ...]


@dataclass(frozen=True)
class SiteMetric:
    """A metric at each site, by run; `site` is empty for all of them together."""

    name: str
    site: str
    scores: tuple[SiteScore | None, ...]


@dataclass(frozen=True)
class Effort:
    """What a run took: milliseconds and bytes of its committed rounds, the preparation included."""

    rounds: int
    median_round_ms: int | None
    duration_ms: int | None
    bytes_sent: int
    bytes_received: int


@dataclass(frozen=True)
class Comparison:
    """Everything stands in the order of the runs."""

    runs: tuple[Run, ...]
    settings: tuple[Setting, ...]
    metrics: tuple[Metric, ...]
    sites: tuple[SiteMetric, ...]
    efforts: tuple[Effort, ...]


def compare_runs(*, study: Study, ids: Sequence[UUID], by: User) -> Comparison:
    """Compare 2 to 6 runs of a study; four queries, however long they are.

    Raises:
        Forbidden: E_FORBIDDEN.
        Invalid: E_INVALID for fewer or more runs.
        NotFound: E_NOT_FOUND for a run that is not one of the study's.
    """
    check(by, Permission.RESULTS_VIEW, study)
    wanted = list(dict.fromkeys(ids))
    if not FEWEST <= len(wanted) <= MOST:
        raise Invalid("E_INVALID", f"Choose {FEWEST} to {MOST} runs to compare.")
    found = {run.pk: run for run in runs_for(by).filter(study=study, pk__in=wanted).prefetch_related(SITES)}
    if len(found) < len(wanted):
        raise NotFound("E_NOT_FOUND", "There is no such run in this study, or it is not yours to see.")
    runs = [found[pk] for pk in wanted]
    rounds = committed_rounds(runs)
    evaluations = _evaluations(rounds)
    return Comparison(
        runs=tuple(runs),
        settings=_differing([_plan(run) for run in runs]),
        metrics=_metrics(runs, rounds),
        sites=_sites(rounds, evaluations),
        efforts=tuple(effort_of(run, rounds[run.pk]) for run in runs),
    )


SITES = "participants__enrolment__site"
Rounds = Mapping[UUID, list[Round]]


def committed_rounds(runs: Sequence[Run]) -> Rounds:
    """The committed rounds of each run by its id, in their order."""
    rows = Round.objects.filter(run__in=runs, state="committed").order_by("number")
    found: dict[UUID, list[Round]] = {run.pk: [] for run in runs}
    for row in rows:
        found[row.run_id].append(row)
    return found


def _evaluations(rounds: Rounds) -> list[tuple[Round | None, Evaluation | None]]:
    """Each run's last round that was tested, with its sites' answers, and what its histograms say."""
    last = [next((row for row in reversed(rows) if row.metrics.get(EVALUATE)), None) for rows in rounds.values()]
    answers = Participation.objects.filter(phase=EVALUATE, state="done").defer("receipt")
    there = Prefetch("participations", answers.select_related("participant__enrolment__site"))
    prefetch_related_objects([row for row in last if row is not None], there)
    return [(row, newest_evaluation([row], {}) if row is not None else None) for row in last]


def _plan(run: Run) -> dict[str, Any]:
    groups = (("strategy_parameters", run.strategy_parameters), ("config", run.config))
    return {
        "script": str(run.version),
        **{name: getattr(run, name) for name in SETTINGS},
        "parent": str(run.parent_id) if run.parent_id else None,
        "sites": sorted(item.enrolment.site.name for item in run.participants.all()),
        "trains": sorted(item.enrolment.site.name for item in run.participants.all() if item.trains),
        **{f"{group}.{name}": value for group, values in groups for name, value in sorted(values.items())},
    }


def _differing(plans: Sequence[Mapping[str, Any]]) -> tuple[Setting, ...]:
    names = dict.fromkeys(name for plan in plans for name in plan)
    rows = (Setting(name, tuple(plan.get(name) for plan in plans)) for name in names)
    return tuple(row for row in rows if any(value != row.values[0] for value in row.values))


def _metrics(runs: Sequence[Run], rounds: Rounds) -> tuple[Metric, ...]:
    curves: dict[str, dict[UUID, dict[int, float]]] = {}
    for run in runs:
        for row in rounds[run.pk]:
            for name, value in _numbers(row.metrics.get(EVALUATE, {})).items():
                curves.setdefault(name, {}).setdefault(run.pk, {})[row.number] = value
    directions = {run.metric: run.better for run in reversed(runs) if run.metric}
    headlines = [run.version.declaration.get("headline", "") for run in runs]
    order = sorted(curves, key=lambda name: (name not in headlines, name not in directions, name))
    return tuple(_metric(name, directions.get(name, ""), runs, curves[name]) for name in order)


def _metric(name: str, better: str, runs: Sequence[Run], curves: Mapping[UUID, Mapping[int, float]]) -> Metric:
    lines = [curves.get(run.pk, {}) for run in runs]
    best = [_best_round(line, better) for line in lines]
    return Metric(
        name=name,
        better=better,
        last=tuple(line[max(line)] if line else None for line in lines),
        best=tuple(None if number is None else line[number] for line, number in zip(lines, best, strict=True)),
        best_round=tuple(best),
        curves=tuple(lines),
    )


def _best_round(line: Mapping[int, float], better: str) -> int | None:
    """The first round with the best value; None where it is not known which is better."""
    if not line or not better:
        return None
    chosen = min(line.values()) if better == "lower" else max(line.values())
    return next(number for number, value in line.items() if value == chosen)


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metrics.items()
        if name != WEIGHT and not measures.is_raw(name) and isinstance(value, int | float)
    }


AREA = "area"  # under the curve, from the score histograms


def _sites(rounds: Rounds, evaluations: Sequence[tuple[Round | None, Evaluation | None]]) -> tuple[SiteMetric, ...]:
    found: dict[tuple[str, str], list[SiteScore | None]] = {}

    def put(name: str, site: str, position: int, score: SiteScore) -> None:
        found.setdefault((name, site), [None] * len(evaluations))[position] = score

    for position, (round_, evaluation) in enumerate(evaluations):
        for item in (evaluation.together, *evaluation.sites) if evaluation else ():
            put(AREA, item.site, position, SiteScore(item.auc.value, *(item.auc.interval or (None, None))))
        for row in round_.participations.all() if round_ else ():
            for name, value in _numbers(row.metrics).items():
                put(name, row.participant.enrolment.site.name, position, SiteScore(value))
    order = sorted(found, key=lambda key: (key[0] != AREA, key[0], key[1] == "", key[1]))
    return tuple(SiteMetric(name, site, tuple(found[name, site])) for name, site in order)


def effort_of(run: Run, rounds: Sequence[Round]) -> Effort:
    """What a run took, from its committed rounds."""
    durations = [row.duration_ms for row in rounds if row.number > 0 and row.duration_ms is not None]
    whole = run.ended_at - run.started_at if run.ended_at and run.started_at else None
    return Effort(
        rounds=sum(row.number > 0 for row in rounds),
        median_round_ms=round(median(durations)) if durations else None,
        duration_ms=None if whole is None else round(whole.total_seconds() * 1000),
        bytes_sent=sum(row.bytes_sent for row in rounds),
        bytes_received=sum(row.bytes_received for row in rounds),
    )
