"""Levels and degree by the API, and by the Python client."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from fedstudy_client.problem import FedStudyProblem
from tests.api.world import World
from tests.client.portals import Portal


def test_a_site_changes_its_level_and_everybody_reads_the_degree(world: World) -> None:
    with ExitStack() as stack:
        portal = Portal(stack)
        admin, pi = (portal.client(person.email) for person in (world.site_admin, world.pi))
        enrolment = admin.enrolments.get(str(world.enrolment.pk))
        assert admin.enrolments.change_level(enrolment, "F1").level == "F1"
        with pytest.raises(FedStudyProblem) as refused:
            admin.enrolments.change_level(enrolment, "F3")
        assert refused.value.code == "E_NO_CONSENT"
        with pytest.raises(FedStudyProblem) as refused:
            pi.enrolments.change_level(enrolment, "F2")
        assert refused.value.code == "E_FORBIDDEN"
        degree = pi.studies.degree(str(world.study.pk))
    assert degree["value"] == 1.0
    assert [(item["site"], item["level"], item["local"]) for item in degree["sites"]] == [(world.site.name, "F1", 1.0)]
    assert [(item["old"], item["new"]) for item in degree["moves"]] == [("", "F2"), ("F2", "F1")]


def test_the_site_s_node_is_told_its_level_with_the_scripts(world: World) -> None:
    world.enrolment.level = "F0"
    world.enrolment.save()
    offers = world.keys.send(world.node.pk, "GET", "scripts").json()
    assert {offer["level"] for offer in offers} == {"F0"}
