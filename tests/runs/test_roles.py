"""The parts of a run's sites: who is asked for what, and how many of them a round needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audit.models import Event
from federation.runs import engine
from federation.runs.flower import Reply
from federation.runs.lowering import follow_level
from federation.runs.models import Participation, Run
from federation.runs.obstacles import obstacles, trainers_left
from federation.runs.phases import phases_of
from federation.strategies.catalogue import STRATEGIES
from portal.web.presenters.runs import present_trouble
from tests.runs import scene as scenes
from tests.runs.scene import drive, settle
from tests.runs.simulation import Site, SuperLink, honest
from tests.runs.test_absence import drive_to_round

DONE = ("done", "")
ALONE = [("F2", "trains"), ("F2", "tests"), ("F2", "tests")]
EVERY_LEVEL = [("F2", "trains"), ("F1", "adds"), ("F0", "tests")]


def asked(link: SuperLink, node: str) -> list[tuple[int, str]]:
    return link.sites[node].asked


@pytest.mark.django_db
def test_a_site_alone_trains_and_every_site_tests_each_round(rehearse: Any) -> None:
    scene, link = rehearse(rounds=3, parts=ALONE)
    run = drive(scene)
    assert (run.state, run.reason) == ("completed", "")
    assert asked(link, "100") == [
        (0, "query.moments"), (0, "query.initial"),
        *((number, phase) for number in (1, 2, 3) for phase in ("train", "evaluate")),
    ]  # fmt: skip
    assert asked(link, "101") == asked(link, "102") == [(number, "evaluate") for number in (1, 2, 3)]
    assert [settle(run, "train", number) for number in (1, 2, 3)] == [{"Site 0": DONE}] * 3
    assert settle(run, "evaluate", 2) == {"Site 0": DONE, "Site 1": DONE, "Site 2": DONE}
    assert run.round_set.get(number=3).metrics["evaluate"]["num-examples"] == 1 + 2 + 3
    assert run.round_set.get(number=3).metrics["train"]["num-examples"] == 1


@pytest.mark.django_db
def test_each_level_is_asked_for_what_it_allows(rehearse: Any) -> None:
    scene, link = rehearse(rounds=2, parts=EVERY_LEVEL)
    run = drive(scene)
    assert run.state == "completed"
    assert asked(link, "101") == [(0, "query.moments"), (1, "evaluate"), (2, "evaluate")]
    assert asked(link, "102") == [(1, "evaluate"), (2, "evaluate")]
    assert settle(run, "sums", 0) == {"Site 0": DONE, "Site 1": DONE}
    assert settle(run, "initial", 0) == {"Site 0": DONE}


@pytest.mark.django_db
def test_a_site_that_only_tests_and_stays_away_does_not_end_the_run(rehearse: Any) -> None:
    scene, _ = rehearse(rounds=1, parts=ALONE)
    scene.lost(scene.nodes[2])
    scene.nodes[2].last_seen_at = None
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "evaluate", 1) == {"Site 0": DONE, "Site 1": DONE, "Site 2": ("missing", "E_OFFLINE")}


@pytest.mark.django_db
def test_a_run_does_not_begin_without_a_site_that_trains(rehearse: Any) -> None:
    scene, _ = rehearse(rounds=1, parts=ALONE)
    scene.lost(scene.nodes[0])
    scene.nodes[0].last_seen_at = None
    run = drive(scene)
    assert (run.state, run.reason_code) == ("failed", "E_QUORUM")
    assert "Only 0 of the needed 1 site came" in run.reason


@pytest.mark.django_db
def test_who_only_tests_is_told_how_many_take_part_and_who_trains_how_many_are_mixed(rehearse: Any) -> None:
    scene, link = rehearse(rounds=1, parts=ALONE)
    told: dict[str, set[int]] = {node: set() for node in link.sites}
    for site in link.sites.values():
        site.answer = _noting(site, told)  # type: ignore[method-assign]
    drive(scene)
    assert told == {"100": {1}, "101": {3}, "102": {3}}


def _noting(site: Site, told: dict[str, set[int]]) -> Any:
    answer = site.answer

    def note(order: Any, content: Any, message_id: str) -> Any:
        told[site.node_id].add(order.sites)
        return answer(order, content, message_id)

    return note


@pytest.mark.django_db
@pytest.mark.parametrize("strategy", ["fedprox", "fedadam", "cyclic"])
def test_other_strategies_that_one_site_is_enough_for_train_alone_too(rehearse: Any, strategy: str) -> None:
    scene, link = rehearse(rounds=2, parts=ALONE, strategy=strategy)
    parameters = STRATEGIES[strategy].parameters
    Run.objects.update(strategy_parameters={item.name: item.default for item in parameters})
    run = drive(scene)
    assert (run.state, run.reason) == ("completed", "")
    trained = Participation.objects.filter(round__run=run, phase="train")
    assert {row.participant.position for row in trained} == {0}
    assert asked(link, "101") == [(1, "evaluate"), (2, "evaluate")]


@pytest.mark.django_db
def test_obstacles_know_the_parts() -> None:
    scene = scenes.build(parts=EVERY_LEVEL)
    signed = {
        0: {"privacy": {"min_sites": 1}, "outputs": {"phases": ["evaluate"]}},
        1: {"privacy": {"min_sites": 2}, "outputs": {"phases": ["query", "evaluate"]}},
        2: {"privacy": {"min_sites": 3}, "outputs": {"phases": ["evaluate"]}},
    }
    for participant in scene.run.participants.all():
        participant.approval.statement = {**signed[participant.position], "dataset": {"fingerprint": "f" * 64}}
        participant.approval.save()
    found = obstacles(scene.run)
    assert [(item.site, item.code) for item in found] == [("Site 0", "E_OUTPUT_SCHEMA"), ("Site 1", "E_MIN_SITES")]
    assert found[0].detail == "Site 0 has not signed for adding to exact sums and training."
    assert trainers_left(scene.run, found) == 0


@pytest.mark.django_db
def test_a_level_that_falls_while_a_run_is_under_way_holds_at_once(rehearse: Any) -> None:
    scene, link = rehearse(rounds=3, quorum=2)
    drive_to_round(scene, 2)
    lower(scene, 2, "F0")
    run = drive(scene)
    assert (run.state, run.reason, run.tests_apart) == ("completed", "", True)
    trained = [number for number, asked_for in asked(link, "102") if asked_for == "train"]
    assert trained == [1]
    assert [settle(run, "train", number).get("Site 2") for number in (1, 2, 3)] == [
        DONE, ("missing", "E_LEVEL"), ("missing", "E_LEVEL"),
    ]  # fmt: skip
    assert [settle(run, "evaluate", number).get("Site 2") for number in (1, 2, 3)] == [None, DONE, DONE]
    assert [settle(run, "evaluate", number)["Site 0"] for number in (1, 2, 3)] == [DONE] * 3
    event = Event.objects.get(action="runs:site:lowered")
    assert json.loads(event.detail) == {"site": "Site 2", "old": "F2", "new": "F0", "gives_up": ["query", "train"]}
    missing = Participation.objects.filter(round__run=run, code="E_LEVEL").first()
    assert present_trouble(missing).sentence == "The site takes part at a level that does not allow this."


@pytest.mark.django_db
def test_an_answer_that_is_awaited_from_a_site_whose_level_fell_is_not_waited_for(rehearse: Any) -> None:
    scene, link = rehearse(rounds=1, quorum=2)
    link.sites["102"].behave = lambda site, order, _: None if order.phase == "train" else _honest(site, order, _)
    drive_to_round(scene, 1)
    engine.drive(scene.run.pk, budget_s=0.0)
    lower(scene, 2, "F1")
    run = drive(scene)
    assert run.state == "completed"
    assert settle(run, "train", 1)["Site 2"] == ("missing", "E_LEVEL")
    assert settle(run, "evaluate", 1)["Site 2"] == DONE


@pytest.mark.django_db
def test_a_level_that_rises_again_changes_nothing_in_runs_that_were_planned_before(rehearse: Any) -> None:
    scene, link = rehearse(rounds=3, quorum=2)
    drive_to_round(scene, 2)
    lower(scene, 2, "F0")
    lower(scene, 2, "F2")
    assert drive(scene).state == "completed"
    assert [number for number, asked_for in asked(link, "102") if asked_for == "train"] == [1]


@pytest.mark.django_db
def test_a_run_that_loses_its_quorum_by_a_level_says_so(rehearse: Any) -> None:
    scene, _ = rehearse(rounds=3)
    drive_to_round(scene, 2)
    lower(scene, 1, "F1")
    run = drive(scene)
    assert (run.state, run.reason_code) == ("failed", "E_QUORUM_LOST")
    assert "Site 1 missing (E_LEVEL)" in run.reason
    assert [(item.site, item.code) for item in obstacles(run)][1:2] == [("Site 1", "E_LEVEL")]


def lower(scene: scenes.Scene, position: int, level: str) -> None:
    enrolment = scene.run.participants.get(position=position).enrolment
    enrolment.level = level
    enrolment.save()
    follow_level(enrolment=enrolment, by="system:test")


def _honest(site: Site, order: Any, content: Any) -> Reply:
    return Reply("", site.done(order, honest(site, order, content)), "", True, 100)


def test_where_some_only_test_every_round_asks_for_its_test_by_itself() -> None:
    together, apart = Run(strategy="fedavg", rounds=3), Run(strategy="fedavg", rounds=3, tests_apart=True)
    assert [[phase.name for phase in phases_of(together, number)] for number in (1, 3)] == [
        ["train"], ["train", "evaluate"],
    ]  # fmt: skip
    assert [[phase.name for phase in phases_of(apart, number)] for number in (1, 3)] == [["train", "evaluate"]] * 2
