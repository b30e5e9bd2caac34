"""Lists ask the database as often for many rows as for one, and load no bundles."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.roles import Role
from accounts.services import create_site, grant_role
from studies.dictionary.models import Dataset
from studies.dictionary.services import publish_dictionary
from studies.enrolment.services import accept_invitation, invite_site
from studies.lifecycle.services import create_study, move_study
from studies.scripts.models import Approval
from studies.scripts.services import create_script, submit_version
from tests.api import world as worlds
from tests.api.world import World, fab


def more_studies(world: World) -> None:
    for number in range(4):
        create_study(title=f"Study {number}", by=world.pi)


def more_enrolments(world: World) -> None:
    for number in range(4):
        site = create_site(name=f"Site {number}", short_name=f"site-{number}", by=world.admin)
        invite_site(study=world.study, site=site, by=world.pi)


def more_people(world: World) -> None:
    for number in range(4):
        person = worlds.person(f"co-{number}@demo.example", f"Co {number}")
        grant_role(user=person, role=Role.CO_INVESTIGATOR, obj=world.study, by=world.pi)


def more_scripts(world: World) -> None:
    for number in range(4):
        create_script(study=world.study, name=f"Script {number}", by=world.pi)


def more_versions(world: World) -> None:
    for number in (2, 3):
        submit_version(script=world.script, bundle=fab(f"1.0.{number}"), by=world.pi)


def more_datasets(world: World) -> None:
    for number in range(4):
        Dataset.objects.create(
            study=world.study,
            site=world.site,
            node_id=str(world.node.pk),
            dictionary=world.dataset.dictionary,
            name=f"rows {number}",
            fingerprint="e" * 64,
            format="csv",
            rows_band="1-9",
        )


def more_approvals(world: World) -> None:
    for number in range(4):
        world.approval.pk, world.approval.statement_id = uuid.uuid4(), f"{number:064x}"
        world.approval._state.adding = True
        Approval.objects.bulk_create([world.approval])


def more_studies_of_the_site(world: World) -> None:
    for number in range(3):
        study = create_study(title=f"Study {number}", by=world.pi)
        publish_dictionary(study=study, variables=worlds.VARIABLES, by=world.pi)
        move_study(study=study, to="recruiting", by=world.pi)
        accept_invitation(enrolment=invite_site(study=study, site=world.site, by=world.pi), by=world.site_admin)


LISTS: list[tuple[Callable[[World], str], Callable[[World], None]]] = [
    (lambda world: "studies", more_studies),
    (lambda world: f"studies/{world.study.pk}/enrolments", more_enrolments),
    (lambda world: "enrolments", more_enrolments),
    (lambda world: f"studies/{world.study.pk}/people", more_people),
    (lambda world: f"studies/{world.study.pk}/scripts", more_scripts),
    (lambda world: f"scripts/{world.script.pk}/versions", more_versions),
    (lambda world: f"studies/{world.study.pk}/datasets", more_datasets),
    (lambda world: f"script-versions/{world.version.pk}/approvals", more_approvals),
    (lambda world: "audit/events", more_studies),
]


def queries(client: APIClient, path: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(f"/api/v1/{path}").status_code == 200
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize(("path", "add"), LISTS, ids=[str(number) for number in range(len(LISTS))])
def test_many_rows_cost_as_many_queries_as_one(
    world: World, path: Callable[[World], str], add: Callable[[World], None]
) -> None:
    client = world.client("pi")
    queries(client, path(world))
    before = queries(client, path(world))
    add(world)
    after = queries(client, path(world))
    assert len(after) == len(before), "\n".join(after)
    assert len(after) <= 12
    assert not any('"scripts_scriptversion"."bundle"' in sql for sql in after)


@pytest.mark.parametrize(
    ("path", "add"),
    [("studies", more_studies_of_the_site), ("scripts", more_versions), ("scripts", more_approvals)],
    ids=["studies", "scripts", "approvals"],
)
def test_a_node_s_lists_cost_as_many_queries_for_many_rows(
    world: World, path: str, add: Callable[[World], None]
) -> None:
    def asked() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert world.keys.send(world.node.pk, "GET", path).status_code == 200
        return [query["sql"] for query in captured.captured_queries]

    before = asked()
    add(world)
    after = asked()
    assert len(after) == len(before), "\n".join(after)
    assert not any('"scripts_approval"."envelope"' in sql for sql in after)
