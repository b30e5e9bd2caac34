"""The pages of those who keep the platform going."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.urls import reverse

from accounts.models import User
from accounts.roles import Role
from accounts.services import create_site, grant_role
from accounts.tokens import begin_program_session
from audit.models import Event
from federation.runs.services import start_run
from notifications.models import Notification
from tests.api.world import PASSWORD, World
from tests.security.access.states import factor
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound


def sound(answer: HttpResponse, status: int = 200) -> Page:
    assert answer.status_code == status
    return assert_sound(answer.content.decode())


def test_people_are_found_by_words_and_by_state(world: World, browser: Browser) -> None:
    admin, there = browser("admin"), reverse("web:platform-people")
    everybody = sound(admin.get(there)).text
    assert "Pat Investigator" in everybody
    assert "Principal investigator" in everybody
    found = sound(admin.get(there, {"q": "STRANGER demo"})).text
    assert "Sam Stranger" in found
    assert "Pat Investigator" not in found
    assert "Nobody fits" in sound(admin.get(there, {"state": "closed"})).text


def test_an_account_is_closed_and_opened_again(world: World, browser: Browser) -> None:
    admin, there = browser("admin"), reverse("web:platform-person", args=[world.pi.pk])
    begin_program_session(user=world.pi)
    page = sound(admin.get(there))
    assert world.study.title in page.text
    assert reverse("web:study", args=[world.study.pk]) not in page.targets
    assert "1 session" in page.text
    page = sound(admin.post(f"{there}/close", follow=True))
    assert "is closed; sessions and tokens are over" in page.text
    assert not User.objects.get(pk=world.pi.pk).is_active
    assert "can sign in again" in sound(admin.post(f"{there}/reopen", follow=True)).text
    actions = list(
        Event.objects.filter(action__startswith="accounts:user:").values_list("action", flat=True).order_by("pk")
    )
    assert actions[-2:] == ["accounts:user:closed", "accounts:user:reopened"]


def test_lost_factors_are_removed_and_ones_own_are_not(world: World, browser: Browser) -> None:
    factor(world)  # type: ignore[arg-type]
    admin, there = browser("admin"), reverse("web:platform-person", args=[world.pi.pk])
    assert f"{there}/reset-factors" in admin.get(there).content.decode()
    assert "sets up a new second factor" in sound(admin.post(f"{there}/reset-factors", follow=True)).text
    assert Event.objects.filter(action="accounts:factor:reset", object_id=str(world.pi.pk)).exists()
    own = reverse("web:platform-person", args=[world.admin.pk])
    assert "Close the account" not in sound(admin.get(own)).text
    assert "E_STATE" in sound(admin.post(f"{own}/close", follow=True)).text
    assert "E_STATE" in sound(admin.post(f"{own}/reset-factors", follow=True)).text


def test_an_account_is_opened(world: World, browser: Browser) -> None:
    admin, there = browser("admin"), reverse("web:platform-person-new")
    sent = {"email": "new@demo.example", "name": "New Person", "password": "short"}
    assert "too short" in sound(admin.post(there, sent), 400).text
    page = sound(admin.post(there, {**sent, "password": PASSWORD, "is_platform_admin": "on"}, follow=True))
    assert "New Person has an account" in page.text
    assert "A platform administrator holds no role" in page.text


def test_the_platform_is_shown_and_its_parts_alone_to_htmx(world: World, browser: Browser) -> None:
    admin = browser("admin")
    start_run(run=world.run, by=world.pi)
    page = sound(admin.get(reverse("web:platform")))
    assert "PostgreSQL answered" in page.text
    assert reverse("web:platform") in page.targets
    for name in ("platform", "platform-queue"):
        part = admin.get(reverse(f"web:{name}"), headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in part
    assert world.study.title in sound(admin.get(reverse("web:platform-queue"))).text
    nodes = sound(admin.get(reverse("web:platform-nodes"), {"version": "current"})).text
    assert world.site.name in nodes
    assert "No node fits" in sound(admin.get(reverse("web:platform-nodes"), {"state": "frozen"})).text


@pytest.mark.parametrize("who", ["pi", "site_admin", "stranger"])
def test_others_see_no_entry_to_it(who: str, world: World, browser: Browser) -> None:
    assert reverse("web:platform") not in sound(browser(who).get("/")).targets


def test_somebody_moves_to_another_site(world: World, browser: Browser) -> None:
    admin, there = browser("admin"), reverse("web:platform-person-move", args=[world.site_admin.pk])
    new = create_site(name="Elsewhere", short_name="elsewhere", by=world.admin)
    grant_role(user=world.stranger, role=Role.ADMIN, obj=new, by=world.admin)
    assert "Nobody else is site admin here" in sound(admin.get(there)).text
    fields = {"origin": str(world.site.pk), "to": str(world.site.pk)}
    assert "where the person is now" in sound(admin.post(there, fields), 400).text
    page = sound(admin.post(there, {**fields, "to": str(new.pk)}, follow=True))
    assert "has no role there any more, and Elsewhere is told" in page.text
    told = Notification.objects.get(person=world.stranger, kind="arrival")
    form = sound(browser("stranger").get(told.link)).text
    assert "Give a role" in form
    assert world.site_admin.email in browser("stranger").get(told.link).content.decode()
