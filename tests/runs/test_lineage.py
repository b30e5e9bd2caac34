"""Forks: a new run from the model of a round, with what still holds of the run it comes from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit.models import Event
from federation.runs.lineage import fork_run, plan_of_fork
from federation.runs.models import Run
from federation.runs.services import start_run
from federation.runs.storage import model_store
from fedstudy_core.artifacts import decode_arrays
from fedstudy_core.errors import Forbidden, Invalid, NotFound
from tests.runs.scene import Scene, drive
from tests.runs.test_engine import weights
from tests.runs.test_pausing import investigator

pytestmark = pytest.mark.django_db

STEP = 4 / 3


def finished(rehearse, **wishes) -> Scene:
    scene, _ = rehearse(rounds=4, **wishes)
    scene.pi = investigator(scene)
    drive(scene)
    return scene


def forked(scene: Scene, number: int, **changes) -> Run:
    plan = replace(plan_of_fork(scene.run, number), **changes)
    return fork_run(run=scene.run, round_number=number, plan=plan, by=scene.pi)


def drive_fork(scene: Scene, fork: Run) -> Run:
    start_run(run=fork, by=scene.pi)
    scene.run = fork
    return drive(scene)


def test_a_fork_goes_on_from_the_rounds_model_and_asks_for_no_preparation(rehearse) -> None:
    scene = finished(rehearse)
    parent = scene.run
    fork = forked(scene, 2)
    assert (fork.parent, fork.parent_round, fork.rounds) == (parent, 2, 2)
    assert weights(fork, 0) == weights(parent, 2)
    run = drive_fork(scene, fork)
    assert run.state == "completed"
    assert weights(run, 2) == weights(parent, 4), "nothing changed, so the rest comes out the same to the bit"
    assert not run.round_set.get(number=0).participations.exists()
    assert list(parent.round_set.values_list("number", "state")) == [(n, "committed") for n in range(5)]
    event = Event.objects.get(action="runs:run:forked")
    assert event.object_id == str(fork.pk)
    assert str(parent.pk) in event.detail


def test_the_sums_of_the_preparation_go_along(rehearse) -> None:
    scene = finished(rehearse)
    fork = forked(scene, 1)
    shared = fork.round_set.get(number=0).shared_sha256
    assert decode_arrays(model_store().get(shared))["rows"].tolist() == [6.0]


def test_a_strategys_memory_goes_along_where_it_means_the_same(rehearse) -> None:
    scene, _ = rehearse(rounds=4)
    scene.pi = investigator(scene)
    Run.objects.filter(pk=scene.run.pk).update(
        strategy="fedavgm", strategy_parameters={"server-learning-rate": 1.0, "server-momentum": 0.5}
    )
    parent = drive(scene)
    kept = {item.number: item.state_sha256 for item in parent.round_set.all()}
    assert kept[3]
    same, other, old = forked(scene, 3), forked(scene, 3, strategy="fedavg", strategy_parameters={}), forked(scene, 1)
    memory = [run.round_set.get(number=0).state_sha256 for run in (same, other, old)]
    assert memory == [kept[3], "", ""], "of older rounds it is not kept, and another strategy has no use for it"
    assert weights(drive_fork(scene, same), 1) == weights(parent, 4), "momentum and all"


def test_a_fork_may_have_another_strategy_and_other_rounds(rehearse) -> None:
    scene = finished(rehearse)
    fork = forked(scene, 4, strategy="median", strategy_parameters={}, rounds=1)
    run = drive_fork(scene, fork)
    np.testing.assert_allclose(weights(run, 1), np.asarray(weights(fork, 0)) + 1, rtol=1e-6)


@pytest.mark.parametrize("number", [-1, 5])
def test_only_a_committed_round_can_be_forked(rehearse, number: int) -> None:
    scene = finished(rehearse)
    with pytest.raises(NotFound, match="E_NOT_FOUND"):
        fork_run(run=scene.run, round_number=number, plan=plan_of_fork(scene.run, 1), by=scene.pi)


def test_layers_that_stay_at_the_sites_cannot_be_forked_into_or_out_of(rehearse) -> None:
    scene = finished(rehearse)
    with pytest.raises(Invalid) as refused:
        forked(scene, 1, strategy="fedbn", strategy_parameters={})
    assert [(item.field, item.code) for item in refused.value.errors] == [("strategy", "E_LINEAGE")]


def test_a_fork_is_held_to_the_rules_of_a_plan(rehearse) -> None:
    scene = finished(rehearse)
    before = Run.objects.count()
    with pytest.raises(Invalid):
        forked(scene, 1, rounds=0)
    with pytest.raises(Invalid, match="E_STRATEGY"):
        forked(scene, 1, strategy="unheard-of")
    assert Run.objects.count() == before


def test_only_who_may_start_runs_may_fork_them(rehearse) -> None:
    from accounts.models import User
    from accounts.roles import Role
    from accounts.services import grant_role

    scene = finished(rehearse)
    auditor = User.objects.create(email="auditor@demo.example", name="Demo Auditor")
    grant_role(user=auditor, role=Role.AUDITOR, obj=scene.run.study, by=scene.pi)
    scene.pi = auditor
    with pytest.raises(Forbidden, match="E_FORBIDDEN"):
        forked(scene, 1)
