"""Which sites a run is planned over."""

from __future__ import annotations

from typing import Any

from federation.runs.lineage import plan_of
from federation.runs.models import Participant, Run
from studies.enrolment.models import Enrolment
from studies.enrolment.services import invite_site
from tests.api.world import World
from tests.factories.studies import new_site


def plan(world: World, **more: Any) -> Any:
    body = {"version": str(world.version.pk), "rounds": 3, **more}
    return world.client("pi").post(f"/api/v1/studies/{world.study.pk}/runs", body, format="json")


def problems(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 400
    return [(problem["field"], problem["code"]) for problem in answer.json()["errors"]]


def test_all_ready_sites_take_part_where_none_is_named(world: World) -> None:
    assert plan(world).json()["quorum"] == 1


def test_no_site_is_not_all_sites(world: World) -> None:
    assert problems(plan(world, sites=[])) == [("sites", "E_TOO_FEW_SITES")]


def test_sites_are_named_by_enrolment_or_site(world: World) -> None:
    for name in (world.enrolment.pk, world.site.pk):
        assert plan(world, sites=[str(name)]).status_code == 201


def test_a_site_is_named_once(world: World) -> None:
    enrolment, site = str(world.enrolment.pk), str(world.site.pk)
    for second in (enrolment, site):
        assert problems(plan(world, sites=[enrolment, second])) == [("sites.1", "E_INVALID")]


def test_unknown_sites_and_those_that_are_not_ready_are_named_by_their_place(world: World) -> None:
    other, _ = new_site()
    assert problems(plan(world, sites=[str(world.site.pk), str(other.pk)])) == [("sites.1", "E_INVALID")]
    invited = invite_site(study=world.study, site=other, by=world.pi)
    answer = plan(world, sites=[str(invited.pk)])
    assert problems(answer) == [("sites.0", "E_NOT_READY")]
    assert answer.json()["code"] == "E_NOT_READY"


def test_a_site_that_only_tests_is_one_of_those_that_take_part(world: World) -> None:
    other, _ = new_site()
    assert problems(plan(world, validators=[str(other.pk)])) == [("validators.0", "E_INVALID")]


def test_a_run_needs_a_site_that_trains(world: World) -> None:
    answer = plan(world, validators=[str(world.site.pk)])
    assert (answer.status_code, answer.json()["code"]) == (400, "E_TOO_FEW_SITES")
    assert "0 sites would train, of 1 site" in answer.json()["detail"]


def test_the_part_of_each_site_is_told_kept_and_planned_again(world: World) -> None:
    made = plan(world).json()
    name = {"id": str(world.site.pk), "name": world.site.name}
    assert made["sites"] == [{**name, "level": "F2", "role": "trains"}]
    run = Run.objects.get(pk=made["id"])
    Participant.objects.filter(run=run).update(role="tests")
    assert plan_of(run).validators == [str(world.enrolment.pk)]
    Participant.objects.filter(run=run).update(level="F0")
    assert plan_of(run).validators == [], "it tests because of its level, which may be another one then"


def test_a_sites_level_gives_it_its_part(world: World) -> None:
    Enrolment.objects.filter(pk=world.enrolment.pk).update(level="F1")
    answer = plan(world)
    assert "0 sites would train" in answer.json()["detail"]
