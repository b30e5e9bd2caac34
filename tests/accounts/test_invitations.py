"""Inviting people who have no account yet, by service, page, API and e-mail."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from accounts.grants import revoke_role
from accounts.groups import holders
from accounts.invitations import UNKNOWN, invite_person, open_invitations, revoke_invitation, take_up_invitation
from accounts.models import Invitation, User
from accounts.roles import Role
from accounts.services import grant_role
from audit.models import Event
from fedstudy_core.errors import Conflict, FedStudyError, Forbidden, Invalid, NotFound
from tests.api.world import PASSWORD, World
from tests.factories.accounts import UserFactory
from tests.web.markup import assert_sound

pytestmark = pytest.mark.django_db
NEW = "new@demo.example"
# What tells one request from another: its id, and when it was made.
REFERENCE = re.compile(rb"<code>[0-9a-f]{32}</code>|[0-9-]{10} [0-9:]{5} UTC")


@pytest.fixture(autouse=True)
def nobody_tried_yet() -> None:
    cache.clear()


def invited(world: World, **changes: Any) -> tuple[Invitation, str]:
    return invite_person(**{"email": NEW, "role": Role.AUDITOR, "obj": world.study, "by": world.pi, **changes})


def refused(token: str) -> tuple[str, str]:
    with pytest.raises(Forbidden) as error:
        take_up_invitation(token=token, name="New Person", password=PASSWORD)
    return error.value.code, error.value.detail


def test_an_invitation_opens_an_account_with_a_role_once(world: World) -> None:
    made, token = invited(world, email=" New@Demo.example ")
    assert token not in str(list(Invitation.objects.values())) + str(list(Event.objects.values()))
    user = take_up_invitation(token=token, name=" New Person ", password=PASSWORD)
    assert (user.email, user.name, user.is_platform_admin) == (NEW, "New Person", False)
    assert list(holders(Role.AUDITOR, world.study).filter(pk=user.pk)) == [user]
    assert not open_invitations(world.study).exists()
    assert refused(token)[0] == "E_INVITATION"
    actions = Event.objects.filter(action__startswith="accounts:invitation", study=str(world.study.pk))
    assert [event.actor for event in actions.order_by("pk")] == [world.pi.audit_name, user.audit_name]
    assert made.expires_at - made.created_at == timedelta(days=7)


def test_links_that_are_over_say_the_same(world: World) -> None:
    _, used = invited(world)
    take_up_invitation(token=used, name="New Person", password=PASSWORD)
    late, expired = invited(world, email="late@demo.example")
    past = timezone.now() - timedelta(days=8)
    Invitation.objects.filter(pk=late.pk).update(created_at=past, expires_at=past + timedelta(days=7))
    back, revoked = invited(world, email="back@demo.example")
    revoke_invitation(invitation=back, by=world.pi)
    _, replaced = invited(world, email="twice@demo.example")
    invited(world, email="twice@demo.example")
    assert len({refused(token) for token in (used, expired, revoked, replaced)}) == 1
    client = Client()
    answers = [client.get("/invitation", {"token": token}) for token in (used, expired, revoked, replaced)]
    pages = {REFERENCE.sub(b"", answer.content) for answer in answers}
    assert len(pages) == 1
    assert "not good any more" in assert_sound(pages.pop().decode()).text
    with pytest.raises(NotFound):
        revoke_invitation(invitation=back, by=world.pi)


def test_a_link_that_never_was_is_not_called_over(world: World) -> None:
    for token in ("never", "", f"{invited(world)[1]}x"):
        assert refused(token) == ("E_INVITATION", UNKNOWN)
        page = assert_sound(Client().get("/invitation", {"token": token}).content.decode()).text
        assert "This link is not known" in page and "over" not in page
    page = Client().get("/invitation", {"token": "never"}, headers={"Accept-Language": "de"}).content.decode()
    assert "Das Portal kennt diesen Link nicht." in page


def test_who_may_not_give_the_role_may_not_invite(world: World) -> None:
    for by, role, obj in (
        (world.auditor, Role.AUDITOR, world.study),
        (world.site_admin, Role.PI, world.study),
        (world.stranger, Role.AUDITOR, world.study),
        (world.pi, Role.STEWARD, world.site),
        (world.admin, Role.ADMIN, world.site),
    ):
        with pytest.raises((Forbidden, NotFound)):
            invite_person(email=NEW, role=role, obj=obj, by=by)
    with pytest.raises(Invalid):
        invite_person(email=NEW, role=Role.STEWARD, obj=world.study, by=world.pi)
    made, _ = invited(world)
    with pytest.raises(Forbidden):
        revoke_invitation(invitation=made, by=world.auditor)


def test_an_invitation_ends_with_the_right_to_give_the_role(world: World) -> None:
    _, token = invited(world)
    other = UserFactory.create()
    grant_role(user=other, role=Role.PI, obj=world.study, by=world.pi)
    revoke_role(user=world.pi, role=Role.PI, obj=world.study, by=other)
    assert refused(token)[0] == "E_INVITATION"
    assert not User.objects.filter(email=NEW).exists()


def test_what_does_not_fit_leaves_the_link_good(world: World) -> None:
    _, token = invited(world)
    with pytest.raises(Invalid) as error:
        take_up_invitation(token=token, name="", password="short")
    assert {problem.field for problem in error.value.errors} == {"name", "password"}
    with pytest.raises(Invalid):
        invited(world, email="nobody")
    with pytest.raises(Conflict):
        invited(world, email=world.auditor.email)
    UserFactory.create(email=NEW)
    with pytest.raises(FedStudyError) as late:
        take_up_invitation(token=token, name="New Person", password=PASSWORD)
    assert late.value.code == "E_EXISTS"


def test_seven_days_are_the_most_that_the_database_takes(world: World) -> None:
    made, _ = invited(world)
    for changes in (
        {"expires_at": made.created_at + timedelta(days=8)},
        {"used_at": timezone.now(), "revoked_at": timezone.now()},
        {"role": "king"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Invitation.objects.filter(pk=made.pk).update(**changes)


def test_the_link_is_shown_once_and_sent(world: World, settings: Any, django_capture_on_commit_callbacks: Any) -> None:
    settings.FEDSTUDY_SENDS_EMAIL = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    pi, there = Client(), f"/studies/{world.study.pk}/invitations"
    pi.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    with django_capture_on_commit_callbacks(execute=True):
        answer = pi.post(there, {"email": NEW, "role": "auditor"})
    assert answer.status_code == 201
    [link] = set(re.findall(r"http\S+/invitation\?token=[\w-]+", assert_sound(answer.content.decode()).text))
    assert [message.to for message in mail.outbox] == [[NEW]]
    assert link in mail.outbox[0].body
    again = pi.get(there).content.decode()
    assert (NEW in again, link in again) == (True, False)


def test_the_page_behind_the_link_leads_to_the_second_factor(world: World, settings: Any) -> None:
    settings.FEDSTUDY_FACTORS_REQUIRED = True
    _, token = invited(world)
    client = Client()
    page = assert_sound(client.get("/invitation", {"token": token}).content.decode())
    assert "Pat Investigator invites new@demo.example to be auditor" in page.text
    assert client.post("/invitation", {"token": token, "name": "New", "password": "short"}).status_code == 400
    answer = client.post("/invitation", {"token": token, "name": "New Person", "password": PASSWORD})
    assert answer.headers["Location"] == "/sign-in/set-up"
    assert client.get("/").status_code == 302
    settings.FEDSTUDY_FACTORS_REQUIRED = False
    _, token = invited(world, email="other@demo.example")
    client.post("/invitation", {"token": token, "name": "Other Person", "password": PASSWORD})
    assert client.get("/").status_code == 200


def test_by_the_api(world: World) -> None:
    pi = world.client("pi")
    address = f"/api/v1/studies/{world.study.pk}/invitations"
    made = pi.post(address, {"email": NEW, "role": "auditor"}, format="json").json()
    [listed] = pi.get(address).json()["results"]
    assert "token" not in listed
    body = {"token": made["token"], "name": "New Person", "password": PASSWORD}
    answer = world.client("anonymous").post("/api/v1/invitations/take-up", body, format="json")
    assert (answer.status_code, answer.json()["email"]) == (201, NEW)
    second = pi.post(address, {"email": "x@demo.example", "role": "pi"}, format="json").json()
    assert pi.delete(f"{address}/{second['id']}").status_code == 204
    assert pi.delete(f"{address}/{second['id']}").status_code == 404
    assert pi.get(address).json()["results"] == []
