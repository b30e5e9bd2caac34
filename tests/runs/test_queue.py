"""Whose turn it is: limits by study and node, priorities, and nobody who waits for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from federation.runs.models import Participant, Run
from federation.runs.queue import HEAD_START, admit_runs, place_of, set_priority
from federation.runs.services import Plan, create_run, pause_run, start_run, stop_run
from fedstudy_core.errors import Conflict, Invalid
from tests.api.world import World
from tests.factories.studies import site_in_study

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def one_run_a_study(settings: Any) -> None:
    settings.FEDSTUDY_RUNS_PER_STUDY, settings.FEDSTUDY_RUNS_PER_NODE = 1, 2


def planned(world: World, label: str, **plan: Any) -> Run:
    return create_run(study=world.study, version=world.version, plan=Plan(label=label, rounds=3, **plan), by=world.pi)


def started(world: World, label: str, **plan: Any) -> Run:
    return start_run(run=planned(world, label, **plan), by=world.pi)


def queued_before(run: Run, span: timedelta) -> None:
    Run.objects.filter(pk=run.pk).update(queued_at=timezone.now() - span)


def test_the_limit_of_a_study_queues_the_next_and_says_why(world: World) -> None:
    first, second, third = (started(world, label) for label in ("one", "two", "three"))
    assert [first.state, second.state, third.state] == ["waiting", "queued", "queued"]
    place = place_of(third)
    assert place is not None
    assert (place.number, place.length) == (2, 2)
    assert [item.sentence for item in place.waits_for] == ["a place in its study (1 run at a time)"]
    assert place_of(first) is None
    stop_run(run=first, by=world.pi)
    assert admit_runs() == [second.pk]
    assert admit_runs() == [], "a place is given once"
    assert Run.objects.get(pk=second.pk).admitted_at is not None


def test_the_limit_of_a_node_names_its_site(world: World, settings: Any) -> None:
    settings.FEDSTUDY_RUNS_PER_STUDY, settings.FEDSTUDY_RUNS_PER_NODE = 9, 1
    started(world, "one")
    place = place_of(started(world, "two"))
    assert place is not None
    assert [item.sentence for item in place.waits_for] == ["a place at the node of Cleveland Clinic (1 run at a time)"]


def test_a_priority_goes_first_but_not_before_those_who_wait_longer_than_its_head_start(world: World) -> None:
    started(world, "at work")
    normal, high = started(world, "normal"), started(world, "high", priority="high")
    assert [place_of(run).number for run in (normal, high)] == [2, 1]  # type: ignore[union-attr]
    queued_before(normal, HEAD_START["high"] + timedelta(minutes=1))
    assert place_of(Run.objects.get(pk=normal.pk)).number == 1  # type: ignore[union-attr]


def test_a_run_that_waits_for_a_node_holds_its_place_there_open(world: World, settings: Any) -> None:
    settings.FEDSTUDY_RUNS_PER_STUDY, settings.FEDSTUDY_RUNS_PER_NODE = 9, 2
    other = site_in_study(world.study, world.pi)
    here = [str(world.site.pk)]
    busy = started(world, "busy", sites=here)
    started(world, "busy too", sites=here)
    both = planned(world, "both nodes", sites=here)
    Participant.objects.create(run=both, enrolment=other.enrolment, node=other.node, position=1)
    Run.objects.filter(pk=both.pk).update(state="queued", queued_at=timezone.now() - timedelta(minutes=2))
    small = planned(world, "one node", sites=here)
    Participant.objects.filter(run=small).update(enrolment=other.enrolment, node=other.node)
    Run.objects.filter(pk=small.pk).update(state="queued", queued_at=timezone.now())
    third = planned(world, "one node again", sites=here)
    Participant.objects.filter(run=third).update(enrolment=other.enrolment, node=other.node)
    Run.objects.filter(pk=third.pk).update(state="queued", queued_at=timezone.now() + timedelta(seconds=1))
    assert admit_runs() == [small.pk], "one of the two places is held open"
    assert Run.objects.get(pk=third.pk).state == "queued"
    stop_run(run=busy, by=world.pi)
    assert admit_runs() == [both.pk]


def test_a_run_leaves_the_queue_by_a_pause_or_a_stop(world: World) -> None:
    started(world, "at work")
    second, third = started(world, "two"), started(world, "three")
    pause_run(run=second, by=world.pi)
    assert place_of(Run.objects.get(pk=third.pk)).number == 1  # type: ignore[union-attr]
    assert start_run(run=second, by=world.pi).state == "queued"
    assert stop_run(run=second, by=world.pi).state == "stopped"


def test_a_priority_is_one_of_three_and_matters_only_before_the_turn(world: World) -> None:
    run = planned(world, "one")
    with pytest.raises(Invalid, match="E_INVALID"):
        set_priority(run=run, priority="urgent", by=world.pi)
    assert set_priority(run=run, priority="high", by=world.pi).priority == "high"
    start_run(run=run, by=world.pi)
    with pytest.raises(Conflict, match="E_STATE"):
        set_priority(run=run, priority="low", by=world.pi)
