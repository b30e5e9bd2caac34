"""Lists ask the database as often for many rows as for one, and load no bundles."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import User
from accounts.roles import Role
from accounts.services import create_site, grant_role
from federation.runs.services import Plan, create_run
from notifications.services import notify
from studies.dictionary.models import Dataset
from studies.dictionary.services import publish_dictionary
from studies.enrolment.services import accept_invitation, invite_site
from studies.lifecycle.services import create_study, move_study
from studies.scripts.checklist import save_ticks
from studies.scripts.models import Approval
from studies.scripts.reviews import answer_thread, open_thread
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


def more_threads(world: World) -> None:
    for number in range(4):
        thread = open_thread(version=world.version, text=f"Question {number}?", by=world.site_admin)
        answer_thread(thread=thread, text="Because.", by=world.pi)


def more_ticks(world: World) -> None:
    for number in range(3):
        steward = worlds.person(f"steward-{number}@demo.example", f"Steward {number}")
        grant_role(user=steward, role=Role.STEWARD, obj=world.site, by=world.site_admin)
        save_ticks(version=world.version, site=world.site, items=["purpose", "source"], by=steward)


def more_notifications(world: World) -> None:
    for number in range(4):
        notify(people=[world.pi], kind="question", subject="Why?", link="/", key=f"test-{number}")


def more_runs(world: World) -> None:
    for number in range(3):
        create_run(study=world.study, version=world.version, plan=Plan(label=f"Run {number}", rounds=2), by=world.pi)


def more_nodes(world: World) -> None:
    for number in range(2, 5):
        worlds.enrolled_node(world.site, f"node-{number}", worlds.NodeKeys(), world.site_admin)


def more_sites(world: World) -> None:
    for number in range(4):
        create_site(name=f"Site {number}", short_name=f"site-{number}", by=world.admin)


def more_studies_that_nobody_leads(world: World) -> None:
    more_studies(world)
    User.objects.filter(pk=world.pi.pk).update(is_active=False)


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
    (lambda world: f"script-versions/{world.version.pk}/threads", more_threads),
    (lambda world: "notifications", more_notifications),
    (lambda world: f"studies/{world.study.pk}/runs", more_runs),
    (lambda world: f"studies/{world.study.pk}/invitable-sites", more_sites),
]
OF_OTHERS: list[tuple[str, Callable[[World], str], Callable[[World], None]]] = [
    ("site_admin", lambda world: f"script-versions/{world.version.pk}/checklist", more_ticks),
    ("site_admin", lambda world: f"sites/{world.site.pk}/nodes", more_nodes),
    ("site_admin", lambda world: f"sites/{world.site.pk}/people", more_ticks),
    ("admin", lambda world: "users", more_people),
    ("admin", lambda world: "sites", more_sites),
    ("admin", lambda world: "studies/without-investigator", more_studies_that_nobody_leads),
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
    asked_as_often(world, "pi", path, add)


@pytest.mark.parametrize(("who", "path", "add"), OF_OTHERS, ids=[str(number) for number in range(len(OF_OTHERS))])
def test_many_rows_of_others_cost_as_many_queries_as_one(
    world: World, who: str, path: Callable[[World], str], add: Callable[[World], None]
) -> None:
    asked_as_often(world, who, path, add)


def asked_as_often(world: World, who: str, path: Callable[[World], str], add: Callable[[World], None]) -> None:
    client = world.client(who)
    open_thread(version=world.version, text="A first one", by=world.site_admin)  # what is fetched beside rows needs one
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
