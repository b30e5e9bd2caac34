"""Runs that begin by themselves: when they are due, that each moment makes one run, and what hinders one."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.roles import Role
from accounts.services import revoke_role
from audit.models import Event
from federation.runs.models import Run, Schedule
from federation.runs.schedules import (
    Timing,
    create_schedule,
    due_schedules,
    end_schedule,
    fire,
    next_due,
    resume_schedule,
    sites_there,
    suspend_schedule,
)
from fedstudy_core.errors import Conflict, Forbidden, Invalid
from nodes.registry.models import Node
from tests.api import world as worlds
from tests.api.world import World

EVERY_DAY = range(7)


@pytest.mark.parametrize(
    ("days", "at", "zone", "after", "expected"),
    [
        ([0], time(2), "UTC", "2026-11-21 10:00", "2026-11-23 02:00"),
        ([0], time(2), "UTC", "2026-11-23 02:00", "2026-11-30 02:00"),
        ([0], time(2), "UTC", "2026-11-23 01:59", "2026-11-23 02:00"),
        ([0], time(2), "Europe/Rome", "2026-11-22 12:00", "2026-11-23 01:00"),
        ([0], time(2), "Asia/Tokyo", "2026-11-22 12:00", "2026-11-22 17:00"),
        (EVERY_DAY, time(2, 30), "Europe/Rome", "2026-03-28 12:00", "2026-03-29 01:30"),
        (EVERY_DAY, time(2, 30), "Europe/Rome", "2026-10-24 12:00", "2026-10-25 00:30"),
        (EVERY_DAY, time(2, 30), "Europe/Rome", "2026-10-25 00:30", "2026-10-26 01:30"),
    ],
)
def test_the_next_moment_follows_the_clock_on_the_wall(days, at, zone: str, after: str, expected: str) -> None:
    found = next_due(list(days), at, zone, datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert found.strftime("%Y-%m-%d %H:%M") == expected


def weekly(world: World) -> Schedule:
    timing = Timing("weekly", weekdays=[0, 3], time=time(2), time_zone="Europe/Rome")
    return create_schedule(run=world.run, timing=timing, label="Nightly", by=world.pi)


def due(schedule: Schedule) -> Schedule:
    Schedule.objects.filter(pk=schedule.pk).update(next_at=timezone.now() - timedelta(minutes=1))
    return schedule


def online(world: World) -> None:
    Node.objects.filter(pk=world.node.pk).update(last_seen_at=timezone.now(), flower_node_id="7")


def test_a_weekly_schedule_makes_one_run_a_moment(world: World) -> None:
    schedule = due(weekly(world))
    assert due_schedules() == [schedule.pk]
    made = fire(schedule.pk)
    assert made is not None
    assert (made.state, made.version, made.rounds) == ("waiting", world.run.version, world.run.rounds)
    assert made.label.startswith("Nightly · 20")
    assert fire(schedule.pk) is None, "the moment is used"
    assert due_schedules() == []
    schedule.refresh_from_db()
    assert schedule.next_at is not None
    assert schedule.next_at > timezone.now()
    assert (schedule.state, schedule.last_run, schedule.last_problem) == ("active", made, "")
    actions = list(Event.objects.filter(object_type="schedule").order_by("id").values_list("action", flat=True))
    assert actions == ["runs:schedule:created", "runs:schedule:fired"]


def test_it_makes_no_second_run_over_one_that_is_under_way(world: World) -> None:
    schedule = due(weekly(world))
    fire(schedule.pk)
    due(schedule)
    assert fire(schedule.pk) is None
    schedule.refresh_from_db()
    assert "is still waiting" in schedule.last_problem
    assert Run.objects.count() == 2


def test_once_is_once(world: World) -> None:
    at = timezone.now() + timedelta(days=1)
    schedule = create_schedule(run=world.run, timing=Timing("once", at=at), by=world.pi)
    assert fire(schedule.pk) is None, "not yet"
    assert fire(due(schedule).pk) is not None
    schedule.refresh_from_db()
    assert schedule.state == "ended"
    assert fire(schedule.pk) is None


def test_it_waits_until_enough_sites_are_there(world: World) -> None:
    schedule = create_schedule(run=world.run, timing=Timing("ready", sites_needed=1), by=world.pi)
    Node.objects.filter(pk=world.node.pk).update(last_seen_at=timezone.now() - timedelta(hours=1))
    assert (sites_there(world.run), fire(schedule.pk)) == (0, None)
    online(world)
    assert sites_there(world.run) == 1
    assert fire(schedule.pk) is not None


def test_it_starts_runs_only_while_its_maker_may(world: World) -> None:
    schedule = due(weekly(world))
    other = worlds.person("second@demo.example", "Second Investigator")
    from accounts.services import grant_role

    grant_role(user=other, role=Role.PI, obj=world.study, by=world.pi)
    revoke_role(user=world.pi, role=Role.PI, obj=world.study, by=other)
    assert fire(schedule.pk) is None
    schedule.refresh_from_db()
    assert schedule.last_problem
    assert Run.objects.count() == 1
    event = Event.objects.get(action="runs:schedule:hindered")
    assert event.outcome == "refused"


def test_a_suspended_or_ended_schedule_makes_no_run(world: World) -> None:
    schedule = due(weekly(world))
    suspend_schedule(schedule=schedule, by=world.pi)
    due(schedule)
    assert (due_schedules(), fire(schedule.pk)) == ([], None)
    resumed = resume_schedule(schedule=schedule, by=world.pi)
    assert resumed.next_at is not None
    assert resumed.next_at > timezone.now(), "what was due meanwhile is not made up for"
    end_schedule(schedule=schedule, by=world.pi)
    with pytest.raises(Conflict, match="E_STATE"):
        resume_schedule(schedule=schedule, by=world.pi)
    with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic():
        Schedule.objects.filter(pk=schedule.pk).update(state="active")


@pytest.mark.parametrize(
    ("timing", "field"),
    [
        (Timing("hourly"), "kind"),
        (Timing("once"), "at"),
        (Timing("once", at=datetime(2020, 1, 1, tzinfo=UTC)), "at"),
        (Timing("weekly", weekdays=[0]), "time"),
        (Timing("weekly", time=time(2)), "weekdays"),
        (Timing("weekly", weekdays=[7], time=time(2)), "weekdays"),
        (Timing("weekly", weekdays=[0], time=time(2), time_zone="Rome"), "time_zone"),
        (Timing("ready"), "sites_needed"),
        (Timing("ready", sites_needed=0), "sites_needed"),
        (Timing("ready", sites_needed=2), "sites_needed"),
    ],
)
def test_a_time_that_cannot_be_is_refused_by_field(world: World, timing: Timing, field: str) -> None:
    with pytest.raises(Invalid, match="E_SCHEDULE") as refused:
        create_schedule(run=world.run, timing=timing, by=world.pi)
    assert [problem.field for problem in refused.value.errors] == [field]


def test_only_who_may_start_runs_may_schedule_them(world: World) -> None:
    with pytest.raises(Forbidden, match="E_FORBIDDEN"):
        create_schedule(run=world.run, timing=Timing("ready", sites_needed=1), by=world.auditor)
    with pytest.raises(Forbidden, match="E_FORBIDDEN"):
        end_schedule(schedule=weekly(world), by=world.site_admin)
