"""Runs that begin by themselves: at a time, every week, or once enough sites are there.

A schedule makes a new run from the plan of another, its template, and starts it in the name of whoever made the
schedule: with what that person may do on that day. It lives in PostgreSQL; a task looks every few seconds. What was due
while the portal was away happens once when it is back, and not as often as it was missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.permissions import Permission, check
from audit.services import record
from federation.runs import states
from federation.runs.lineage import plan_of
from federation.runs.models import Run, Schedule
from federation.runs.obstacles import obstacles
from federation.runs.participants import is_away
from federation.runs.services import create_run, start_run
from fedstudy_core.errors import FedStudyError, FieldProblem, Invalid
from studies.lifecycle.services import check_under_way

SCHEDULER = "system:scheduler"
MOST_A_STUDY = 50


@dataclass(frozen=True)
class Timing:
    """When a schedule makes its run.

    Attributes:
        kind: "once" (at `at`), "weekly" (on `weekdays` at `time` in `time_zone`) or "ready" (once `sites_needed` of the
            plan's sites could be asked at this moment).
        weekdays: 0 for Monday to 6 for Sunday.
        time_zone: a name of the IANA database, such as "Europe/Rome"; clocks that change are followed.
    """

    kind: str
    at: datetime | None = None
    weekdays: Sequence[int] = ()
    time: time | None = None
    time_zone: str = "UTC"
    sites_needed: int | None = None


def next_due(weekdays: Sequence[int], at: time, zone: str, after: datetime) -> datetime:
    """The first moment after `after` at which a clock of that zone shows the time on one of the weekdays.

    A time that a change of clocks leaves out is taken as many minutes later as it leaves out; of one that comes twice
    the first counts.
    """
    here = ZoneInfo(zone)
    first_day = after.astimezone(here).date()
    for days in range(9):
        day = first_day + timedelta(days=days)
        moment = datetime.combine(day, at, tzinfo=here).astimezone(UTC)
        if day.weekday() in weekdays and moment > after:
            return moment
    raise ValueError("no weekday is named")


@transaction.atomic
def create_schedule(*, run: Run, timing: Timing, label: str = "", by: User) -> Schedule:
    """Have runs made from the plan of `run`.

    Raises:
        Invalid: E_SCHEDULE with a problem for each field that does not fit.
        Conflict: E_STATE for a study that is over.
    """
    check(by, Permission.RUN_START, run.study)
    check_under_way(run.study, "and takes no more runs")
    problems = _problems(run, timing)
    if Schedule.objects.filter(template__study=run.study_id).exclude(state="ended").count() >= MOST_A_STUDY:
        problems.append(FieldProblem("kind", "E_SCHEDULE", f"A study has at most {MOST_A_STUDY} schedules; end one."))
    if problems:
        raise Invalid("E_SCHEDULE", problems[0].detail, errors=problems)
    schedule = Schedule(
        template=run,
        label=label or run.label,
        kind=timing.kind,
        weekdays=sorted(set(timing.weekdays)) if timing.kind == "weekly" else [],
        time=timing.time if timing.kind == "weekly" else None,
        time_zone=timing.time_zone if timing.kind == "weekly" else "UTC",
        sites_needed=timing.sites_needed if timing.kind == "ready" else None,
        next_at=timing.at if timing.kind == "once" else None,
        created_by=by,
    )
    _set_next(schedule)
    schedule.save()
    _note(schedule, "created", by, kind=schedule.kind, template=str(run.pk))
    return schedule


def _problems(run: Run, timing: Timing) -> list[FieldProblem]:
    """What does not fit, by field."""
    wrong: list[tuple[bool, str, str]] = []
    match timing.kind:
        case "once":
            late = timing.at is None or timing.at <= timezone.now()
            wrong = [(late, "at", "A moment that is still to come.")]
        case "weekly":
            days = not timing.weekdays or not set(timing.weekdays) <= set(range(7))
            zone = timing.time_zone not in available_timezones()
            wrong = [
                (days, "weekdays", "One weekday or more, 0 for Monday to 6 for Sunday."),
                (timing.time is None, "time", "A time of day, such as 02:00."),
                (zone, "time_zone", "A name of the IANA database, such as Europe/Rome."),
            ]
        case "ready":
            sites = run.participants.count()
            few = timing.sites_needed is None or not run.quorum <= timing.sites_needed <= sites
            wrong = [(few, "sites_needed", f"A whole number from {run.quorum} (the quorum) to {sites}.")]
        case _:
            wrong = [(True, "kind", "“once”, “weekly” or “ready”.")]
    return [FieldProblem(name, "E_SCHEDULE", detail) for is_wrong, name, detail in wrong if is_wrong]


def _set_next(schedule: Schedule) -> None:
    """When a weekly schedule is due next; the other kinds keep what they have."""
    if schedule.kind == "weekly" and schedule.time is not None:
        schedule.next_at = next_due(schedule.weekdays, schedule.time, schedule.time_zone, timezone.now())


def suspend_schedule(*, schedule: Schedule, by: User) -> Schedule:
    """Make no runs until it is resumed."""
    return _move(schedule, "suspended", by)


def resume_schedule(*, schedule: Schedule, by: User) -> Schedule:
    """Make runs again, from now on.

    Raises:
        Invalid: E_SCHEDULE where its only moment has passed.
        Conflict: E_STATE for a study that is over.
    """
    if schedule.kind == "once" and schedule.next_at is not None and schedule.next_at <= timezone.now():
        raise Invalid("E_SCHEDULE", "Its moment has passed; make a new schedule.")
    return _move(schedule, "active", by)


def end_schedule(*, schedule: Schedule, by: User) -> Schedule:
    """Make no more runs; those that were made stay."""
    return _move(schedule, "ended", by)


@transaction.atomic
def _move(schedule: Schedule, state: str, by: User) -> Schedule:
    schedule = _locked(Schedule.objects.filter(pk=schedule.pk)).get()
    check(by, Permission.RUN_START, schedule.template.study)
    if state == "active":
        check_under_way(schedule.template.study, "and takes no more runs")
    states.SCHEDULE.move(schedule, state)
    _set_next(schedule)
    schedule.save(update_fields=["state", "next_at"])
    _note(schedule, state, by)
    return schedule


def _locked(rows: QuerySet[Schedule], *, skip: bool = False) -> QuerySet[Schedule]:
    return rows.select_for_update(of=("self",), skip_locked=skip).select_related(
        "template__study", "template__version__script", "created_by", "last_run"
    )


def _note(schedule: Schedule, what: str, by: object, *, outcome: str = "done", **detail: object) -> None:
    study = schedule.template.study_id
    record(action=f"runs:schedule:{what}", actor=by, obj=schedule, study=study, outcome=outcome, detail=detail)


def due_schedules() -> list[UUID]:
    """The schedules whose moment has come, or whose sites may be there."""
    due = Q(next_at__lte=timezone.now()) | Q(kind="ready")
    return list(Schedule.objects.filter(due, state="active").values_list("pk", flat=True))


@transaction.atomic
def fire(schedule_id: UUID) -> Run | None:
    """Make and start the run of a schedule that is due; None where it is not, or its run cannot be.

    Its next moment is set in the same transaction, so whoever repeats this makes no second run.
    """
    schedule = _locked(Schedule.objects.filter(pk=schedule_id, state="active"), skip=True).first()
    if schedule is None or not _is_due(schedule):
        return None
    made, problem = _make(schedule)
    schedule.last_at, schedule.last_problem = timezone.now(), problem
    schedule.last_run = made or schedule.last_run
    _set_next(schedule)
    if schedule.kind != "weekly":
        states.SCHEDULE.move(schedule, "ended")
    schedule.save()
    if made is None:
        _note(schedule, "hindered", SCHEDULER, outcome="refused", reason=problem)
    else:
        _note(schedule, "fired", SCHEDULER, run=str(made.pk))
    return made


def _is_due(schedule: Schedule) -> bool:
    if schedule.kind != "ready":
        return schedule.next_at is not None and schedule.next_at <= timezone.now()
    return sites_there(schedule.template) >= (schedule.sites_needed or 1)


def sites_there(run: Run) -> int:
    """How many sites of a plan could be asked at this moment."""
    now = timezone.now()
    missing = {item.site for item in obstacles(run, now)}
    everyone = run.participants.select_related("enrolment__site", "node")
    return sum(item.enrolment.site.name not in missing and not is_away(item, now) for item in everyone)


def _make(schedule: Schedule) -> tuple[Run | None, str]:
    """The new run, or why there is none."""
    before = schedule.last_run
    if before is not None and before.state in states.LIVE:
        return None, f"“{before.label}” of the time before is still {before.state}."
    try:
        with transaction.atomic():
            template = schedule.template
            today = timezone.now().astimezone(ZoneInfo(schedule.time_zone)).date()
            plan = replace(plan_of(template), label=f"{schedule.label[:100]} · {today.isoformat()}")
            made = create_run(study=template.study, version=template.version, plan=plan, by=schedule.created_by)
            return start_run(run=made, by=schedule.created_by), ""
    except FedStudyError as error:
        return None, f"{error.detail} ({error.code})"
