"""Events tell under which circumstances they were written: how somebody signed in, from where, by which software."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from accounts.groups import group_for
from accounts.models import Site, User
from accounts.permissions import Permission, check
from accounts.roles import Role
from accounts.services import revoke_role
from audit.context import of_system, pseudonym, under
from audit.models import Event
from audit.services import record
from fedstudy_core.errors import NotFound
from portal.celery import _begin_context, _end_context
from portal.web.presenters.circumstances import circumstances_of
from studies.enrolment.services import invite_site
from tests.api import world as worlds
from tests.api.world import World, another_site
from tests.factories.accounts import UserFactory, platform_admin
from tests.factories.factors import code_of, with_app

pytestmark = pytest.mark.django_db
FROM = {"REMOTE_ADDR": "192.0.2.7", "HTTP_USER_AGENT": "Mozilla/5.0 (demo)", "HTTP_X_REQUEST_ID": "demo-request-1"}


def context_of(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.context)
    return found


def newest(action: str) -> dict[str, Any]:
    return context_of(Event.objects.filter(action=action).latest("pk"))


def written(actor: User | str = "system:tests", **where: object) -> dict[str, Any]:
    with transaction.atomic():
        return context_of(record(action="demo:thing:done", actor=actor, obj=Site(name="Demo Hospital"), **where))


def test_what_the_portal_does_by_itself_says_which_part_did_it() -> None:
    assert written()["auth"]["method"] == "system"
    with under(of_system("demo_part", "1")):
        assert written() == {
            "auth": {"method": "system", "part": "demo_part"}, "request": "1", "software": "0.1.0",
        }  # fmt: skip
        with under(lambda: {"auth": {"method": "none"}}):
            assert written()["auth"] == {"method": "none"}
        assert written()["request"] == "1"


def test_a_task_is_named_while_it_works_and_not_after() -> None:
    class Task:
        name = "demo.tasks.work"

    before = written()
    _begin_context(Task(), task_id="t-1")
    assert written() | {"software": ""} == {
        "auth": {"method": "system", "part": "demo.tasks.work"}, "request": "t-1", "software": "",
    }  # fmt: skip
    _end_context(task_id="t-1")
    assert written() == before


def test_an_administrators_standing_is_told() -> None:
    assert written(platform_admin())["actor"] == {"role": "platform administrator"}
    assert "actor" not in written(UserFactory.create())


def test_the_roles_in_study_and_site_are_told_without_a_question(world: World) -> None:
    """Those by which somebody's rights were found; where nothing was looked up, one question tells."""
    site = {"study": world.study, "site": world.site}
    check(world.pi, Permission.STUDY_EDIT, world.study)
    check(world.site_admin, Permission.SITE_WITHDRAW, world.site)
    with CaptureQueriesContext(connection) as asked:
        assert written(world.pi, **site)["actor"] == {"roles": ["study:pi"]}
        assert written(world.site_admin, **site)["actor"] == {"roles": ["site:admin"]}
        assert "actor" not in written(world.pi)
    assert len([sql for sql in asked.captured_queries if sql["sql"].startswith("SELECT")]) == 0
    unseen, outsider = User.objects.get(pk=world.site_admin.pk), User.objects.get(pk=world.stranger.pk)
    with CaptureQueriesContext(connection) as asked:
        for _ in range(3):
            assert written(unseen, site=world.site)["actor"] == {"roles": ["site:admin"]}
            assert "actor" not in written(outsider, **site)
    assert len([sql for sql in asked.captured_queries if sql["sql"].startswith("SELECT")]) == 2


@pytest.fixture
def at_two_sites(world: World) -> tuple[User, Site]:
    """The admin of the world's site, who is data steward of the other one too."""
    other = Site.objects.get(pk=another_site(world))
    group_for(Role.STEWARD, other).user_set.add(world.site_admin)
    return User.objects.get(pk=world.site_admin.pk), other


def test_a_role_at_a_site_of_the_study_is_told_of_that_site_alone(
    world: World, at_two_sites: tuple[User, Site]
) -> None:
    """Though both roles give rights in the study, if both sites are in it."""
    somebody, other = at_two_sites
    invite_site(study=world.study, site=other, by=world.pi)
    check(somebody, Permission.STUDY_VIEW, world.study)
    with CaptureQueriesContext(connection) as asked:
        assert written(somebody, study=world.study, site=world.site)["actor"] == {"roles": ["site:admin"]}
        assert written(somebody, study=world.study, site=other)["actor"] == {"roles": ["site:steward"]}
        assert "actor" not in written(somebody, study=world.study)
    assert len([sql for sql in asked.captured_queries if sql["sql"].startswith("SELECT")]) == 0


def test_where_the_role_in_one_of_the_two_was_not_looked_up_one_question_tells(
    world: World, at_two_sites: tuple[User, Site]
) -> None:
    somebody, other = at_two_sites
    check(somebody, Permission.STUDY_VIEW, world.study)
    with CaptureQueriesContext(connection) as asked:
        assert written(somebody, study=world.study, site=other)["actor"] == {"roles": ["site:steward"]}
        assert "actor" not in written(somebody, study=world.study, site=Site(name="Demo Hospital"))
    assert len([sql for sql in asked.captured_queries if sql["sql"].startswith("SELECT")]) == 1


def test_a_role_counts_as_it_was_when_somebody_acted(world: World) -> None:
    auditor = User.objects.get(pk=world.auditor.pk)
    check(auditor, Permission.AUDIT_VIEW, world.study)
    assert written(auditor, study=world.study.pk)["actor"] == {"roles": ["study:auditor"]}
    revoke_role(user=world.auditor, role=Role.AUDITOR, obj=world.study, by=world.pi)
    assert newest("accounts:role:revoked")["actor"] == {"roles": ["study:pi"]}
    assert written(auditor, study=world.study, site=world.site)["actor"] == {"roles": ["study:auditor"]}
    with pytest.raises(NotFound):
        check(auditor, Permission.AUDIT_VIEW, world.study)
    assert "actor" not in written(auditor, study=world.study.pk)


def test_the_build_is_a_part_of_the_software(settings: Any) -> None:
    settings.FEDSTUDY_SOFTWARE = "0.1.0+1a2b3c"
    assert written()["software"] == "0.1.0+1a2b3c"


def test_pseudonyms_stay_while_the_secret_does(settings: Any) -> None:
    first = pseudonym("address", "192.0.2.7")
    assert first == pseudonym("address", "192.0.2.7")
    assert len({first, pseudonym("address", "192.0.2.8"), pseudonym("agent", "192.0.2.7")}) == 3
    assert pseudonym("address", "") == ""
    settings.FEDSTUDY_LOG_SECRET = "another"
    assert pseudonym("address", "192.0.2.7") != first


def test_a_sign_in_by_password_and_code_tells_both_and_nothing_personal(world: World) -> None:
    secret, client = with_app(world.pi), Client()
    assert client.post("/sign-in", {"username": world.pi.email, "password": "wrong"}, **FROM).status_code == 200
    refused = newest("accounts:session:refused")
    assert refused["auth"] == {"method": "none"}
    client.post("/sign-in", {"username": world.pi.email, "password": worlds.PASSWORD}, **FROM)
    client.post("/sign-in/factor", {"code": code_of(secret)}, **FROM)
    told = newest("accounts:session:opened")
    assert told["auth"]["method"] == "session"
    assert (told["auth"]["ways"], told["auth"]["aal"]) == (["password", "code"], 2)
    assert told["request"] == "demo-request-1"
    assert told["source"] == refused["source"] == {
        "address": pseudonym("address", "192.0.2.7"), "agent": pseudonym("agent", "Mozilla/5.0 (demo)"),
    }  # fmt: skip
    key = client.session.session_key
    answer = client.post("/sign-out")
    closed = newest("accounts:session:closed")
    assert closed["auth"] == told["auth"]
    assert closed["request"] == answer.headers["X-Request-ID"]
    for event in Event.objects.all():
        for personal in ("192.0.2.7", "Mozilla", key, world.pi.email):
            assert personal not in event.context


def test_a_password_alone_is_one_factor(world: World) -> None:
    client = Client()
    client.post("/sign-in", {"username": world.pi.email, "password": worlds.PASSWORD})
    auth = newest("accounts:session:opened")["auth"]
    assert (auth["ways"], auth["aal"]) == (["password"], 1)
    assert auth["session"] != client.session.session_key


def test_tokens_and_nodes_are_told_apart(world: World) -> None:
    world.client("pi").patch("/api/v1/me", {"time_zone": "Europe/Berlin"}, format="json")
    auth = newest("accounts:user:zoned")["auth"]
    assert (auth["method"], auth["aal"], len(auth["session"])) == ("program session", 1, 16)
    beat = {"agent_version": "0.2.0", "sandbox": "S1", "datasets": [], "clock": "2030-01-01T00:00:00Z"}
    assert world.keys.send(world.node.pk, "POST", "heartbeat", beat).status_code == 200
    told = context_of(Event.objects.filter(actor=world.node.audit_name).latest("pk"))
    assert (told["auth"], told["actor"]) == ({"method": "node key"}, {"role": "node", "site": str(world.site.pk)})


def test_circumstances_are_said_in_words() -> None:
    told = dict(
        circumstances_of(
            {
                "auth": {"method": "session", "ways": ["password", "passkey"], "aal": 2, "session": "3f2a"},
                "source": {"address": "91c0", "agent": "77aa"},
                "request": "r-1",
                "software": "0.1.0",
                "actor": {"role": "node", "site": "s-1"},
            }
        )
    )
    assert told == {
        "Signed in": "signed in on a page with password and passkey, two factors, session 3f2a",
        "Standing": "node of site s-1",
        "Came from": "source 91c0, program 77aa",
        "Request": "r-1",
        "Software": "portal 0.1.0",
    }
    roles = {"role": "platform administrator", "roles": ["site:steward", "study:pi", "study:other"]}
    said = dict(circumstances_of({"actor": roles}))["Standing"]
    assert said == "platform administrator, data steward of the site, principal investigator of the study, study:other"
    with translation.override("de"):
        said = dict(circumstances_of({"actor": {"roles": ["site:admin", "study:pi"]}}))["Stellung"]
        assert said == "Standortadministrator des Standorts, Studienleitung der Studie"
    assert circumstances_of({}) == ()
    assert dict(circumstances_of({"auth": {"method": "new way"}}))["Signed in"] == "new way"
