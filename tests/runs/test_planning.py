"""What stands between a plan and a run: versions taken back, and studies that close."""

from __future__ import annotations

import pytest

from federation.runs.models import Run
from federation.runs.services import Plan, create_run, start_run, stop_run
from fedstudy_core.errors import Conflict, Refusal
from studies.lifecycle.services import move_study
from studies.scripts.services import withdraw_version
from tests.api.world import World

pytestmark = pytest.mark.django_db


def test_no_run_is_planned_with_a_version_that_was_taken_back(world: World) -> None:
    version = withdraw_version(version=world.version, by=world.pi)
    with pytest.raises(Conflict, match="E_STATE"):
        create_run(study=world.study, version=version, plan=Plan(), by=world.pi)
    assert Run.objects.count() == 1


def test_a_study_does_not_close_over_a_run_that_is_under_way(world: World) -> None:
    start_run(run=world.run, by=world.pi)
    with pytest.raises(Conflict, match="“First” is waiting"):
        move_study(study=world.study, to="closed", by=world.pi)
    stop_run(run=world.run, by=world.pi)
    assert move_study(study=world.study, to="closed", by=world.pi).state == "closed"


def test_a_planned_run_does_not_start_in_a_closed_study(world: World) -> None:
    move_study(study=world.study, to="closed", by=world.pi)
    with pytest.raises(Refusal, match="E_STATE"):
        start_run(run=world.run, by=world.pi)
