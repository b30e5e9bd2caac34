"""How the platform is: what is heard of, what is asked, and what an administrator reads of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisDown

from audit.models import Queued
from federation.runs.models import Run
from federation.runs.overview import overview
from federation.runs.services import Plan, create_run, start_run
from federation.runs.tasks import sync_nodes
from nodes.registry.models import Node
from nodes.registry.versions import narrowed_nodes, spread, standing_of
from portal import celery, health, pulses
from tests.api.world import World
from tests.factories.registry import active_node

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_heard_yet() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def part(name: str) -> health.Part:
    return next(item for item in health.parts() if item.name == name)


def test_workers_are_judged_by_when_they_last_finished_something(monkeypatch: pytest.MonkeyPatch) -> None:
    assert part("workers").state == "failing"
    pulses.note_task(worker="worker@one", queue="fedstudy", task="any", result=None)
    assert part("workers").state == "ok"
    assert "worker@one" in part("workers").detail
    later = timezone.now() + 2 * health.QUIET
    monkeypatch.setattr("portal.health.timezone.now", lambda: later)
    found = part("workers")
    assert (found.state, found.at is not None) == ("failing", True)


def test_a_worker_for_what_goes_outside_is_none_that_drives_runs() -> None:
    pulses.note_task(worker="outside@one", queue="outside", task="any", result=None)
    assert (part("workers").state, part("outside").state) == ("failing", "ok")
    assert "outside@one" in part("outside").detail
    cache.clear()
    pulses.note_task(worker="worker@one", queue="fedstudy", task="any", result=None)
    assert (part("workers").state, part("outside").state) == ("ok", "failing")
    pulses.note_task(worker="worker@one", queue="outside", task="any", result=None)
    assert {part("workers").state, part("outside").state} == {"ok"}, "one worker may serve both queues"
    assert [item.name for item in health.software()].count("Worker worker@one") == 1


def test_a_worker_that_has_just_started_counts_before_its_first_task() -> None:
    class Worker:
        hostname = "worker@new"
        app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=("fedstudy", "outside"))))

    celery.worker_ready.send(sender=Worker())
    assert {part("workers").state, part("outside").state} == {"ok"}


def test_a_worker_of_another_version_is_named(settings: Any) -> None:
    pulses.note_task(worker="worker@old", queue="fedstudy", task="any", result=None)
    settings.FEDSTUDY_VERSION = "9.0.0"
    pulses.note_task(worker="worker@new", queue="fedstudy", task="any", result=None)
    found = part("workers")
    assert found.state == "warning"
    assert "worker@old" in found.detail
    assert "worker@new" not in found.detail
    assert {item.name: item.standing for item in health.software()}["Worker worker@old"] == "behind"


def test_the_superlink_is_as_workers_meet_it() -> None:
    assert part("superlink").state == "unknown"
    pulses.note_task(worker="w", queue="fedstudy", task=sync_nodes.name, result="E_SUPERLINK")
    assert part("superlink").state == "failing"
    assert "E_SUPERLINK" in part("superlink").detail
    pulses.note_task(worker="w", queue="fedstudy", task=sync_nodes.name, result="")
    assert part("superlink").state == "ok"
    pulses.note_task(worker="w", queue="fedstudy", task=sync_nodes.name, result=ValueError("a task that broke"))
    assert part("superlink").state == "ok", "what broke says nothing of the SuperLink"


def test_without_redis_the_rest_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any) -> None:
        raise RedisDown("no")

    monkeypatch.setattr("portal.health.cache.get", down)
    states = {item.name: item.state for item in health.parts()}
    assert states["redis"] == "failing"
    assert states["database"] == "ok"
    assert health.software()


def test_events_without_a_place_are_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert part("log").state == "ok"
    later = timezone.now() + 2 * health.QUIET
    monkeypatch.setattr("portal.health.timezone.now", lambda: later)
    assert part("log").state == "failing"
    Queued.objects.all().delete()
    assert part("log").state == "ok"


def test_little_room_is_said_before_it_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        total, used = 100, 0
        free = 10

    monkeypatch.setattr("portal.health.shutil.disk_usage", lambda _: Usage)
    assert part("disk").state == "warning"
    Usage.free = 1
    assert part("disk").state == "failing"


def test_nodes_that_are_silent_are_counted(world: World) -> None:
    assert part("nodes").state == "warning"
    Node.objects.update(last_seen_at=timezone.now())
    assert part("nodes").state == "ok"


@pytest.mark.parametrize(
    ("version", "standing"),
    [("0.1.0", "current"), ("0.0.9", "behind"), ("0.10.0", "ahead"), ("0.1.0rc1", "behind"), ("", "unknown"),
     ("new", "unknown")],
)  # fmt: skip
def test_a_version_stands_to_the_portals(version: str, standing: str) -> None:
    assert standing_of(version, "0.1.0") == standing


def test_nodes_behind_the_portal_are_found(world: World) -> None:
    old, _ = active_node(world.site, world.site_admin, name="old")
    new = world.node
    Node.objects.filter(pk=old.pk).update(agent_version="0.0.1")
    Node.objects.filter(pk=new.pk).update(agent_version="0.1.0")
    nodes = Node.objects.all()
    assert list(narrowed_nodes(nodes, "0.1.0", version="behind")) == [old]
    assert not narrowed_nodes(nodes, "0.1.0", version="behind", state="revoked").exists()
    assert {item.version: (item.standing, item.nodes) for item in spread(nodes, "0.1.0")} == {
        "0.0.1": ("behind", 1),
        "0.1.0": ("current", 1),
    }


def test_the_queue_shows_what_runs_and_what_waits_for_what(world: World, settings: Any) -> None:
    settings.FEDSTUDY_RUNS_PER_STUDY = 1
    plans = [Plan(label="one", rounds=3), Plan(label="two", rounds=3, priority="high")]
    first, second = (
        start_run(run=create_run(study=world.study, version=world.version, plan=plan, by=world.pi), by=world.pi)
        for plan in plans
    )
    found = overview(timezone.now())
    assert [work.id for work in found.running] == [first.pk]
    assert found.running[0].waits_for == ("the node of Cleveland Clinic",)
    assert not found.running[0].driven
    assert [(work.id, work.place, work.priority) for work in found.queued] == [(second.pk, 1, "high")]
    assert found.queued[0].waits_for == ("a place in its study (1 run at a time)",)
    Run.objects.filter(pk=first.pk).update(lease_until=timezone.now() + timedelta(minutes=1))
    assert overview(timezone.now()).running[0].driven
