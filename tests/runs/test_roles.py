"""The parts of a run's sites: who is asked for what, and how many of them a round needs."""

from __future__ import annotations

from typing import Any

import pytest

from federation.runs.models import Participation, Run
from federation.runs.obstacles import obstacles, trainers_left
from federation.runs.phases import phases_of
from federation.strategies.catalogue import STRATEGIES
from tests.runs import scene as scenes
from tests.runs.scene import drive, settle
from tests.runs.simulation import Site, SuperLink

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
    assert "Only 0 of the needed 1 sites came" in run.reason


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
def test_obstacles_know_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scenes.build(parts=EVERY_LEVEL)
    signed = {
        0: {"privacy": {"min_sites": 1}, "outputs": {"phases": ["evaluate"]}},
        1: {"privacy": {"min_sites": 2}, "outputs": {"phases": ["query", "evaluate"]}},
        2: {"privacy": {"min_sites": 3}, "outputs": {"phases": ["evaluate"]}},
    }
    for participant in scene.run.participants.all():
        participant.approval.statement = signed[participant.position]
        participant.approval.save()
    found = obstacles(scene.run)
    assert [(item.site, item.code) for item in found] == [("Site 0", "E_OUTPUT_SCHEMA"), ("Site 1", "E_MIN_SITES")]
    assert found[0].detail == "Site 0 has not signed for adding to exact sums and training."
    assert trainers_left(scene.run, found) == 0


def test_where_some_only_test_every_round_asks_for_its_test_by_itself() -> None:
    together, apart = Run(strategy="fedavg", rounds=3), Run(strategy="fedavg", rounds=3, tests_apart=True)
    assert [[phase.name for phase in phases_of(together, number)] for number in (1, 3)] == [
        ["train"], ["train", "evaluate"],
    ]  # fmt: skip
    assert [[phase.name for phase in phases_of(apart, number)] for number in (1, 3)] == [["train", "evaluate"]] * 2
