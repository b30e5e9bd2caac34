"""Rounds for which too few sites are there: the engine waits until their deadline, and asks whoever comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from federation.runs import engine
from federation.runs.flower import Reply, SuperLinkError
from federation.runs.lease import Lease
from federation.runs.models import Participation, Round, Run
from federation.runs.participants import new_deadline
from federation.runs.selectors import abandoned_runs, rounds_of, run_summary
from nodes.registry import boots
from tests.runs.scene import Scene, drive, settle
from tests.runs.simulation import Session, Site, honest

pytestmark = pytest.mark.django_db


def drive_to_round(scene: Scene, number: int) -> None:
    """Drive step by step until the round before is committed."""
    while not scene.reload().round_set.filter(number=number - 1, state="committed").exists():
        engine.drive(scene.run.pk, budget_s=0.0)


def step(scene: Scene, times: int = 6) -> Run:
    """A few short turns of a worker; nobody is heard of meanwhile."""
    for _ in range(times):
        engine.drive(scene.run.pk, budget_s=0.0)
    return scene.reload()


def deadline_passes(scene: Scene) -> None:
    Round.objects.filter(run=scene.run, state="open").update(deadline_at=timezone.now() - timedelta(seconds=1))


def honest_reply(site: Site, order: Any, content: Any) -> Reply:
    return Reply("", site.done(order, honest(site, order, content)), "", True, 100)


def test_a_run_waits_until_a_node_has_taken_up_the_level_that_its_site_raised(rehearse) -> None:
    """The node would refuse to train until then."""
    scene, link = rehearse(rounds=1, quorum=3)
    Run.objects.filter(pk=scene.run.pk).update(wait_s=600)
    node = scene.nodes[1]
    node.status = {"levels": {str(scene.run.study_id): "F0"}}
    node.save()
    run = step(scene)
    assert run.state == "waiting"
    (awaited,) = run_summary(run, rounds_of(run)).awaited
    assert (awaited.site, awaited.level) == ("Site 1", "F2")
    assert not link.sites["101"].asked
    node.status = {"levels": {str(scene.run.study_id): "F2"}}
    node.save()
    assert drive(scene).state == "completed"


def test_a_round_goes_on_without_a_site_whose_node_never_takes_up_its_level(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=2)
    node = scene.nodes[1]
    node.status = {"levels": {str(scene.run.study_id): "F0"}}
    node.save()
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 1"] == ("missing", "E_LEVEL_AWAITED")
    assert settle(run, "evaluate", 1)["Site 1"] == ("done", ""), "testing is allowed at each level"
    assert (1, "train") not in link.sites["101"].asked


def test_a_round_below_its_quorum_waits_for_a_site_to_come_back(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=3)
    drive_to_round(scene, 1)
    scene.lost(scene.nodes[1])
    run = step(scene)
    assert run.state == "running"
    assert settle(run, "train", 1) == {"Site 0": ("done", ""), "Site 1": ("awaited", ""), "Site 2": ("done", "")}
    assert [item.site for item in run_summary(run, rounds_of(run)).awaited] == ["Site 1"], (
        "the page says for whom the round waits"
    )
    assert (1, "train") not in link.sites["101"].asked, "nothing is sent to a site that is away"
    scene.heard_of(scene.nodes[1])
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 1"] == ("done", "")


def test_a_round_below_its_quorum_fails_at_its_deadline(rehearse) -> None:
    scene, _ = rehearse(rounds=1, quorum=3)
    drive_to_round(scene, 1)
    scene.lost(scene.nodes[1])
    step(scene)
    deadline_passes(scene)
    run = step(scene, 1)
    assert (run.state, run.reason_code) == ("failed", "E_QUORUM_LOST")
    assert "Site 1 missing (E_OFFLINE)" in run.reason
    assert settle(run, "train", 1)["Site 1"] == ("missing", "E_OFFLINE")


def test_a_round_closes_with_its_quorum_though_another_site_stays_away(rehearse) -> None:
    scene, _ = rehearse(rounds=1, quorum=2)
    drive_to_round(scene, 1)
    scene.lost(scene.nodes[0])
    scene.lost(scene.nodes[1])
    assert settle(step(scene), "train", 1)["Site 0"] == ("awaited", "")
    scene.heard_of(scene.nodes[1])
    run = step(scene, 20)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 0"] == ("missing", "E_OFFLINE")
    assert settle(run, "train", 1)["Site 1"] == ("done", "")


def test_nobody_is_waited_for_whose_approval_is_gone(rehearse) -> None:
    scene, _ = rehearse(rounds=1, quorum=3)
    drive_to_round(scene, 1)
    approval = scene.run.participants.get(position=1).approval
    approval.state, approval.revoked_at = "revoked", timezone.now()
    approval.save()
    run = step(scene)
    assert (run.state, run.reason_code) == ("failed", "E_QUORUM_LOST")
    assert settle(run, "train", 1)["Site 1"] == ("missing", "E_NOT_APPROVED")


def test_the_first_model_comes_from_whoever_is_back_first(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=3)

    def vanish(site: Site, order: Any, content: Any) -> Reply:
        scene.lost(scene.nodes[site.number])
        return honest_reply(site, order, content)

    for site in link.sites.values():
        site.behave = vanish
    run = step(scene)
    assert {state for state, _ in settle(run, "initial", 0).values()} == {"awaited"}
    for site in link.sites.values():
        site.behave = None
    scene.heard_of(scene.nodes[2], scene.nodes[1])
    drive(scene)
    asked = [site.number for site in link.sites.values() if (0, "query.initial") in site.asked]
    assert asked == [1], "one site is asked, the first that is there"


def test_a_second_site_asked_for_the_first_model_has_a_deadline_of_its_own(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=2)

    def silent(site: Site, order: Any, content: Any) -> Reply | None:
        if order.message_type == "query.initial":
            deadline_passes(scene)
            return None
        return honest_reply(site, order, content)

    link.sites["100"].behave = silent
    run = drive(scene)
    assert run.state == "completed", run.reason
    assert settle(run, "initial", 0) == {"Site 0": ("missing", "E_DEADLINE"), "Site 1": ("done", "")}


def test_after_a_lost_attempt_everybody_is_asked_again_though_the_quorum_has_answered(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=2)
    drive_to_round(scene, 1)
    link.sites["102"].behave = lambda *_: None
    step(scene)
    assert settle(scene.run, "train", 1)["Site 2"] == ("awaited", "")
    link.sites["102"].behave = None
    link.tokens.clear()
    assert settle(drive(scene), "train", 1)["Site 2"] == ("done", "")


def test_an_attempt_that_nobody_can_claim_is_not_repeated_without_a_pause(rehearse, monkeypatch) -> None:
    scene, link = rehearse()
    monkeypatch.setattr(type(link), "claim_next", lambda _: None)
    for turn in (1, 2):
        assert engine.drive(scene.run.pk, budget_s=5.0) == engine.SUPERLINK_PAUSE_S
        assert len(link.runs) == turn
    assert not Participation.objects.filter(round__run=scene.run).exists()


def test_a_slow_study_gets_three_times_as_long_as_its_last_rounds_took(rehearse) -> None:
    scene, _ = rehearse(rounds=8, quorum=2, deadline_s=60)
    run = drive(scene)
    now = timezone.now()
    for number, seconds in enumerate((5, 100, 1000, 30, 40, 50), start=2):
        asked = Participation.objects.filter(round__run=run, round__number=number, phase="train")
        asked.update(asked_at=now - timedelta(seconds=seconds), answered_at=now)
    Participation.objects.filter(round__run=run, phase="evaluate").delete()
    next_round = Round(run=run, number=8)
    left = new_deadline(run, next_round) - timezone.now()
    assert timedelta(seconds=149) < left < timedelta(seconds=151), "the median of 30, 40, 50, 100, 1000 three times"
    run.deadline_s = 600
    assert new_deadline(run, next_round) - timezone.now() > timedelta(seconds=599), "never less than was asked for"


def test_a_message_that_was_under_way_when_its_node_started_anew_is_sent_again(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=3)
    drive_to_round(scene, 1)
    link.sites["101"].behave = lambda *_: None
    step(scene)
    assert link.sites["101"].asked.count((1, "train")) == 1
    step(scene)
    assert link.sites["101"].asked.count((1, "train")) == 1
    link.sites["101"].behave = None
    node = scene.nodes[1]
    node.boots, _ = boots.hear([], "another start", sequence=1, now=timezone.now())
    node.save()
    run = drive(scene)
    assert (run.state, settle(run, "train", 1)["Site 1"]) == ("completed", ("done", ""))
    assert link.sites["101"].asked.count((1, "train")) == 2


def test_what_came_before_the_superlink_went_away_is_asked_for_again(rehearse, monkeypatch) -> None:
    scene, _ = rehearse(rounds=1, quorum=3)
    drive_to_round(scene, 1)
    pull = Session.pull

    def broken(self: Session, message_ids: Any) -> Any:
        for reply in list(pull(self, message_ids)):
            yield reply
            raise SuperLinkError("E_SUPERLINK_DOWN", "The SuperLink does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(Session, "pull", broken)
        step(scene, 2)
    run = drive(scene)
    assert (run.state, run.reason) == ("completed", "")
    assert {state for state, _ in settle(run, "train", 1).values()} == {"done"}


def test_a_worker_lets_go_of_its_run_once_the_database_is_back(rehearse, monkeypatch) -> None:
    scene, _ = rehearse(rounds=1)
    release, tries = Lease.release, []

    def away(self: Lease, *, in_order: bool) -> None:
        tries.append(in_order)
        if len(tries) < 3:
            raise OperationalError("the database system is starting up")
        release(self, in_order=in_order)

    monkeypatch.setattr(Lease, "release", away)
    monkeypatch.setattr(engine, "DATABASE_PAUSE_S", 0)
    monkeypatch.setattr(engine.connection, "close", lambda: None)
    engine.drive(scene.run.pk, budget_s=0.0)
    assert len(tries) == 3
    assert abandoned_runs() == [scene.run.pk]
    assert scene.reload().lease_until <= timezone.now()


def test_a_superlink_that_does_not_know_the_nodes_yet_is_waited_for(rehearse) -> None:
    scene, link = rehearse(rounds=1, quorum=3)
    drive_to_round(scene, 1)
    sites, link.sites = link.sites, {}
    step(scene)
    assert {state for state, _ in settle(scene.run, "train", 1).values()} == {"awaited"}
    link.sites = sites
    run = drive(scene)
    assert (run.state, run.reason) == ("completed", "")


def test_a_node_that_the_superlink_cannot_reach_does_not_hold_up_the_others(rehearse) -> None:
    scene, link = rehearse(rounds=2, quorum=2)
    gone = Reply("", None, "gone", from_node=False, size=7)
    link.sites["101"].behave = lambda site, order, content: gone if order.round else honest_reply(site, order, content)
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 1"] == ("missing", "E_NODE_UNAVAILABLE")
    assert settle(run, "train", 2)["Site 2"] == ("done", "")


def test_until_a_first_round_was_answered_processes_have_time_to_start(rehearse) -> None:
    scene, _ = rehearse(rounds=2, quorum=2, deadline_s=5)
    assert new_deadline(scene.run, Round(run=scene.run, number=0)) - timezone.now() > timedelta(seconds=60)
    run = drive(scene)
    assert new_deadline(run, Round(run=run, number=1)) - timezone.now() < timedelta(seconds=6)
    run.admitted_at = timezone.now()
    assert new_deadline(run, Round(run=run, number=3)) - timezone.now() > timedelta(seconds=60), "as after a pause"
