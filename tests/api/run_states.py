"""Addresses of the world's run once it has begun, paused, been prepared or scheduled."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone

from federation.runs.models import Model, Round, Schedule
from federation.runs.schedules import Timing, create_schedule, suspend_schedule
from federation.runs.services import pause_run, start_run
from tests.api.world import World


def started(rest: str) -> Callable[[World], str]:
    """The world's run, begun."""

    def address(world: World) -> str:
        return f"runs/{start_run(run=world.run, by=world.pi).pk}{rest}"

    return address


def paused(rest: str) -> Callable[[World], str]:
    """The world's run, paused."""

    def address(world: World) -> str:
        return f"runs/{pause_run(run=start_run(run=world.run, by=world.pi), by=world.pi).pk}{rest}"

    return address


def prepared(rest: str) -> Callable[[World], str]:
    """The world's run, its preparation committed."""

    def address(world: World) -> str:

        model = Model.objects.create(run=world.run, round_number=0, sha256="0" * 64, size=1, schema={})
        Round.objects.create(run=world.run, number=0, state="committed", model_out=model, committed_at=timezone.now())
        return f"runs/{world.run.pk}{rest}"

    return address


def scheduled(rest: str = "") -> Callable[[World], str]:
    """A schedule that waits for one site."""

    def address(world: World) -> str:
        made = create_schedule(run=world.run, timing=Timing("ready", sites_needed=1), by=world.pi)
        return f"schedules/{made.pk}{rest}"

    return address


def suspended(rest: str) -> Callable[[World], str]:
    """A schedule that makes no runs for now."""

    def address(world: World) -> str:
        there = scheduled(rest)(world)
        suspend_schedule(schedule=Schedule.objects.get(), by=world.pi)
        return there

    return address
