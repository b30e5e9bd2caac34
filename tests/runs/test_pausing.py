"""Pausing, going on, and going on after an end: no committed round is lost, none counts twice."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import DatabaseError, IntegrityError, transaction

from accounts.models import User
from accounts.roles import Role
from accounts.services import grant_role
from audit.models import Event
from federation.runs import engine, states
from federation.runs.models import Round, Run
from federation.runs.selectors import abandoned_runs, attempts_to_retire
from federation.runs.services import pause_run, start_run, stop_run
from fedstudy_core.errors import Conflict, Forbidden
from studies.dictionary.models import Dataset
from studies.lifecycle.models import Study
from tests.api import world as worlds
from tests.runs.scene import Scene, drive, settle
from tests.runs.test_engine import weights

pytestmark = pytest.mark.django_db


def investigator(scene: Scene) -> User:
    """The scene's PI, with the rights that a study's start gives."""
    pi = scene.run.created_by
    for state in ("recruiting", "active"):
        Study.objects.filter(pk=scene.run.study_id).update(state=state)
    phases = ["query", "train", "evaluate"]
    statement = {
        "privacy": {"min_sites": 1}, "outputs": {"phases": phases}, "dataset": {"fingerprint": "f" * 64},
    }  # fmt: skip
    scene.run.version.approvals.update(statement=statement)
    Dataset.objects.update(state="valid")
    parameters = [{"name": "local-steps", "type": "int", "default": 5}]
    type(scene.run.version).objects.filter(pk=scene.run.version_id).update(parameters=parameters)
    grant_role(user=pi, role=Role.PI, obj=scene.run.study, by=pi)
    return pi


def actions(run: Run) -> list[str]:
    return list(Event.objects.filter(object_id=str(run.pk)).order_by("id").values_list("action", flat=True))


def test_a_pause_waits_for_the_round_at_work(rehearse) -> None:
    scene, link = rehearse(rounds=4)
    pi = investigator(scene)

    def wish() -> None:
        if Round.objects.filter(run=scene.run, number=2).exists() and scene.reload().state == "running":
            pause_run(run=scene.run, by=pi)

    link.on_push = wish
    run = drive(scene)
    assert run.state == "paused"
    assert list(run.round_set.values_list("number", "state")) == [(n, "committed") for n in range(3)]
    assert run.pk not in abandoned_runs(), "nobody drives a paused run"
    assert link.runs["1"].startswith("finished"), "the sites have nothing to do"
    link.on_push = None
    start_run(run=run, by=pi)
    assert scene.reload().state == "waiting"
    assert drive(scene).state == "completed"
    np.testing.assert_allclose(weights(run, 4), [4 * 4 / 3] * 2, rtol=1e-6)
    told = actions(run)
    assert [told.count(f"runs:run:{name}") for name in ("pausing", "paused", "queued", "resumed")] == [1, 1, 1, 1]


def test_a_wish_to_pause_can_be_taken_back(rehearse) -> None:
    scene, _ = rehearse()
    pi = investigator(scene)
    Run.objects.filter(pk=scene.run.pk).update(state="running")
    pause_run(run=scene.run, by=pi)
    assert start_run(run=scene.run, by=pi).state == "running"
    assert drive(scene).state == "completed"


def test_a_pause_at_once_keeps_the_answers_that_came(rehearse) -> None:
    scene, link = rehearse(rounds=1)
    pi = investigator(scene)
    silent = link.sites["102"]

    def sulk(site, order, _):
        if order.phase == "train":
            pause_run(run=scene.run, by=pi, at_once=True)
            return None
        return _answer(site, order, _)

    silent.behave = sulk
    engine.drive(scene.run.pk, budget_s=5)
    assert scene.reload().state == "paused"
    assert len(attempts_to_retire(scene.run.pk)) == 1, "the sites are told to end their work"
    assert scene.run.round_set.get(number=1).state == "open"
    silent.behave = None
    asked = {number: len(site.asked) for number, site in link.sites.items()}
    start_run(run=scene.run, by=pi)
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1) == {f"Site {number}": ("done", "") for number in range(3)}
    assert [link.sites["102"].asked[asked["102"] :][0]] == [(1, "train")]


def _answer(site, order, content):
    from federation.runs.flower import Reply
    from tests.runs.simulation import honest

    return Reply("", site.done(order, honest(site, order, content)), "", True, 100)


@pytest.mark.parametrize("end", ["failed", "stopped"])
def test_what_ended_goes_on_after_its_last_committed_round(rehearse, end: str) -> None:
    scene, link = rehearse(rounds=3)
    pi = investigator(scene)
    for site in link.sites.values():
        site.behave = _fail_in_round_2(scene, pi, end)
    engine.drive(scene.run.pk, budget_s=5)
    assert scene.reload().state == end
    for site in link.sites.values():
        site.behave = None
    start_run(run=scene.run, by=pi)
    run = drive(scene)
    assert (run.state, run.reason_code) == ("completed", "")
    numbers = list(run.round_set.values_list("number", "state"))
    assert numbers == [(0, "committed"), (1, "committed"), (2, "failed"), (2, "committed"), (3, "committed")]
    np.testing.assert_allclose(weights(run, 3), [4.0] * 2, rtol=1e-6)


def _fail_in_round_2(scene: Scene, pi: User, end: str):
    def behave(site, order, content):
        if order.round < 2:
            return _answer(site, order, content)
        if end == "stopped" and scene.reload().state == "running":
            stop_run(run=scene.run, by=pi)
        return site.refuse(order, "E_SIG")

    return behave


def test_only_what_may_go_on_goes_on() -> None:
    world = worlds.build()
    with pytest.raises(Conflict, match="E_STATE"):
        pause_run(run=world.run, by=world.pi)
    with pytest.raises(Forbidden, match="E_FORBIDDEN"):
        pause_run(run=start_run(run=world.run, by=world.pi), by=world.site_admin)
    assert pause_run(run=world.run, by=world.pi).state == "paused", "a run that has not begun pauses at once"
    assert stop_run(run=world.run, by=world.pi).state == "stopped"
    assert start_run(run=world.run, by=world.pi).state == "waiting"


def test_the_database_holds_the_moves_of_runs_and_one_standing_round_a_number() -> None:
    world = worlds.build()
    for state in set(states.RUN.states) - {"draft", *states.RUN.moves["draft"]}:
        with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic():
            Run.objects.filter(pk=world.run.pk).update(state=state)
    Round.objects.create(run=world.run, number=1, state="failed")
    Round.objects.create(run=world.run, number=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Round.objects.create(run=world.run, number=1)
