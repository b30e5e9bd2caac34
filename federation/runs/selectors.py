"""Read access to runs, already restricted to what a user may see, and what the reconciler looks for."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import CharField, Count, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from accounts.models import User
from audit import selectors as audit
from audit.models import Event
from federation.runs import states
from federation.runs.evaluation import Evaluation, newest_evaluation
from federation.runs.models import Attempt, Participant, Participation, Round, Run, Schedule
from federation.runs.participants import LEVEL_AWAITED, absences, waits_until
from federation.runs.phases import EVALUATE, TRAIN
from fedstudy_core import metrics as measures
from fedstudy_core.errors import NotFound
from fedstudy_core.metrics import NEGATIVES, POSITIVES, WEIGHT, Curve, Metric, roc
from studies.lifecycle import selectors as studies

HISTOGRAMS = (POSITIVES, NEGATIVES)


def runs_for(user: User) -> QuerySet[Run]:
    """Runs of the studies that the user may see."""
    visible = studies.visible_to(user)
    runs = Run.objects.filter(study__in=visible).select_related("study", "version__script", "created_by")
    return runs.defer("version__bundle")


def with_committed(runs: QuerySet[Run]) -> QuerySet[Run]:
    """The runs, each with the number of its committed rounds as `committed_rounds`; the one of preparation is none."""
    committed = Round.objects.filter(run=OuterRef("pk"), state="committed", number__gt=0).order_by().values("run")
    return runs.annotate(committed_rounds=Coalesce(Subquery(committed.annotate(n=Count("*")).values("n")), 0))


def run_for(user: User, run_id: uuid.UUID) -> Run:
    """Raises NotFound when there is no such run for this user."""
    run = runs_for(user).filter(pk=run_id).first()
    if run is None:
        raise NotFound("E_NOT_FOUND", "There is no such run, or it is not yours to see.")
    return run


def schedules_for(user: User) -> QuerySet[Schedule]:
    """Schedules of the studies that the user may see."""
    visible = studies.visible_to(user)
    return Schedule.objects.filter(template__study__in=visible).select_related(
        "template__study", "last_run", "created_by"
    )


def schedule_for(user: User, schedule_id: uuid.UUID) -> Schedule:
    """Raises NotFound when there is no such schedule for this user."""
    schedule = schedules_for(user).filter(pk=schedule_id).first()
    if schedule is None:
        raise NotFound("E_NOT_FOUND", "There is no such schedule, or it is not yours to see.")
    return schedule


def events_for(user: User) -> QuerySet[Event]:
    """The log entries that the person may read: what they audit, and the runs that their sites' data took part in.

    Of such a run they read what concerns the run as a whole and their own sites, not what other sites did.
    """
    scope = user.audit_scope()
    seen = audit.visible_in(scope)
    if not scope.sites:
        return seen
    asked = Participant.objects.filter(enrolment__site__in=[uuid.UUID(site) for site in scope.sites])
    known = asked.annotate(name=Cast("run_id", CharField()))
    studies = asked.annotate(name=Cast("run__study_id", CharField())).values_list("name", flat=True).distinct()
    # the studies say nothing new, but an index finds the entries by them
    of_runs = Q(study__in=list(studies), object_type="run", object_id__in=known.values("name"))
    return seen | Event.objects.filter(of_runs & (Q(site="") | Q(site__in=scope.sites)))


def rounds_of(run: Run) -> QuerySet[Round]:
    """The run's rounds with the models before and after them, and all that their sites answered."""
    return (
        run.round_set.select_related("model_in", "model_out")
        .prefetch_related("participations__participant__enrolment__site")
        .order_by("number")
    )


# What no page of a whole run shows of a site's answer; the receipt alone is larger than all the rest.
OF_ONE_ANSWER = ("receipt", "content_sha256", "message_id")


def participants_of(run: Run) -> list[Participant]:
    """The run's sites in their order, with what is signed of each."""
    return list(run.participants.select_related("enrolment__site", "approval"))


def rounds_shown(run: Run, participants: Iterable[Participant]) -> list[Round]:
    """The run's rounds as far as the run page shows them; who took part is among the run's participants."""
    answers = Participation.objects.defer(*OF_ONE_ANSWER)
    rows = run.round_set.select_related("model_out").defer("model_out__schema", "model_out__created_at")
    rounds = list(rows.prefetch_related(Prefetch("participations", answers)).order_by("number"))
    known = {item.pk: item for item in participants}
    for round_ in rounds:
        for answer in round_.participations.all():
            answer.participant = known[answer.participant_id]
    return rounds


@dataclass(frozen=True)
class Series:
    """One line of a chart: a metric of one site, or of all (`site` is empty), over the rounds."""

    metric: str
    phase: str
    site: str
    rounds: list[int]
    values: list[float]


@dataclass(frozen=True)
class SiteResult:
    """A site's numbers after the last round that it evaluated."""

    site: str
    site_id: str
    round: int
    examples: int | None
    metrics: dict[str, Metric]


@dataclass(frozen=True)
class Awaited:
    """A site that a run waits for; `level` is the one that its node has still to take up, empty otherwise."""

    site: str
    phase: str
    since: datetime
    until: datetime | None
    level: str = ""


@dataclass(frozen=True)
class RunSummary:
    """What the run page shows.

    Attributes:
        committed: rounds committed of `total`, without the preparation.
        pooled: the aggregated metrics of the last round.
        curve: the pooled receiver operating characteristic, where the script reports score histograms.
    """

    committed: int
    total: int
    awaited: list[Awaited]
    series: list[Series]
    sites: list[SiteResult]
    pooled: dict[str, Metric]
    curve: Curve | None
    evaluation: Evaluation | None
    headline: str
    median_round_ms: int | None


def run_summary(run: Run, rounds: Sequence[Round] | QuerySet[Round]) -> RunSummary:
    """The summary from the run's rounds (`rounds_of`), which the caller has read already."""
    committed = [item for item in rounds if item.number > 0 and item.state == "committed"]
    last: dict[str, Any] = next(
        (item.metrics[EVALUATE] for item in reversed(committed) if EVALUATE in item.metrics), {}
    )
    durations = sorted(item.duration_ms for item in committed if item.duration_ms is not None)
    return RunSummary(
        committed=len(committed),
        total=run.rounds,
        awaited=_awaited(run, rounds),
        series=_series(committed),
        sites=_site_results(committed),
        pooled={name: value for name, value in last.items() if not measures.is_raw(name)},
        curve=roc(last[POSITIVES], last[NEGATIVES]) if all(name in last for name in HISTOGRAMS) else None,
        evaluation=newest_evaluation(committed, run.version.declaration),
        headline=run.version.declaration.get("headline", ""),
        median_round_ms=durations[len(durations) // 2] if durations else None,
    )


def _awaited(run: Run, rounds: Iterable[Round]) -> list[Awaited]:
    if run.state == "waiting":
        until = waits_until(run)
        since = run.queued_at or run.created_at
        return [
            Awaited(item.enrolment.site.name, "start", since, until, item.level if code == LEVEL_AWAITED else "")
            for item, code in absences(run).items()
        ]
    return [
        Awaited(row.participant.enrolment.site.name, row.phase, row.asked_at, round_.deadline_at)
        for round_ in rounds
        if round_.state == "open"
        for row in round_.participations.all()
        if row.state == "awaited"
    ]


def _series(rounds: list[Round]) -> list[Series]:
    points: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for round_ in rounds:
        for phase, metrics in round_.metrics.items():
            _add_points(points, phase, "", round_.number, metrics)
        for row in round_.participations.all():
            if row.state == "done":
                _add_points(points, row.phase, row.participant.enrolment.site.name, round_.number, row.metrics)
    return [
        Series(metric, phase, site, [number for number, _ in values], [value for _, value in values])
        for (metric, phase, site), values in points.items()
    ]


def _add_points(points: dict[Any, Any], phase: str, site: str, number: int, metrics: dict[str, Metric]) -> None:
    for name, value in metrics.items():
        if name != WEIGHT and not measures.is_raw(name) and isinstance(value, int | float):
            points.setdefault((name, phase, site), []).append((number, float(value)))


def _site_results(rounds: list[Round]) -> list[SiteResult]:
    newest: dict[str, SiteResult] = {}
    trained: dict[str, int | None] = {}
    for round_ in rounds:
        done = [row for row in round_.participations.all() if row.state == "done"]
        trained |= {row.participant.enrolment.site.name: row.examples for row in done if row.phase == TRAIN}
        for row in done:
            if row.phase == EVALUATE:
                site = row.participant.enrolment.site
                metrics = {name: value for name, value in row.metrics.items() if not measures.is_raw(name)}
                newest[site.name] = SiteResult(site.name, str(site.pk), round_.number, trained.get(site.name), metrics)
    return list(newest.values())


def abandoned_runs() -> list[uuid.UUID]:
    """Runs that are to be driven and that no worker holds."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=timezone.now())
    return list(Run.objects.filter(free, state__in=states.DRIVEN).values_list("pk", flat=True))


def finished_with_live_attempt() -> list[uuid.UUID]:
    """Runs that nobody drives any more, over or paused, whose attempt is still there."""
    live = Attempt.objects.filter(state__in=["announced", "driving"]).exclude(run__state__in=states.DRIVEN)
    return list(live.values_list("run_id", flat=True).distinct())


def attempts_to_retire(run_id: uuid.UUID) -> list[Attempt]:
    live = Attempt.objects.filter(run_id=run_id, state__in=["announced", "driving"])
    return list(live.exclude(run__state__in=states.DRIVEN))
