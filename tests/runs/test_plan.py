"""Which sites a run is planned over."""

from __future__ import annotations

from typing import Any

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
