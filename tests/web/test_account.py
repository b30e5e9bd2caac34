"""One's own account: its pages, and how long a browser's session lasts."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.throttling import SimpleRateThrottle

from accounts import sessions
from accounts.models import ApiToken, Session, User
from tests.api import world as worlds
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def sound(answer: HttpResponse, status: int = 200) -> Page:
    assert answer.status_code == status
    return assert_sound(answer.content.decode())


def signed_in(world: World, agent: str = FIREFOX) -> Client:
    client = Client(HTTP_USER_AGENT=agent)
    there = reverse("web:sign-in")
    answer = client.post(there, {"username": world.pi.email, "password": worlds.PASSWORD})
    assert answer.status_code == 302
    return client


def aged(client: Client, **seconds: float) -> None:
    """Make a session's moments lie in the past."""
    session = client.session
    for name, age in seconds.items():
        session[name] = timezone.now().timestamp() - age
    session.save()


def test_a_token_is_shown_once(world: World, browser: Browser) -> None:
    pi, there = browser("pi"), reverse("web:account-tokens")
    page = sound(pi.post(there, {"name": "Notebook", "scopes": ["read", "run"], "days": "7"}), 201)
    token = ApiToken.objects.get(name="Notebook")
    assert token.scopes == ["read", "run"]
    [secret] = [word for word in page.text.split() if word.startswith(token.token_key) and "…" not in word]
    assert secret not in pi.get(there).content.decode()
    page = sound(pi.post(reverse("web:account-token-revoke", args=[token.pk]), follow=True))
    assert "opens nothing any more" in page.text
    assert not ApiToken.objects.filter(pk=token.pk).exists()


@pytest.mark.parametrize(
    "form", [{"name": "x", "days": "7"}, {"name": "x", "scopes": ["sign"], "days": "7"}, {"name": ""}]
)
def test_a_token_that_does_not_fit_is_explained(form: dict[str, object], browser: Browser) -> None:
    page = sound(browser("pi").post(reverse("web:account-tokens"), form), 400)
    assert "Nothing was saved" in page.text
    assert not ApiToken.objects.exclude(scopes=[]).exists()


def test_sessions_are_shown_with_browser_and_address_and_can_be_ended(world: World) -> None:
    here, there = signed_in(world), signed_in(world, "Mozilla/5.0 (iPhone) Safari/605.1")
    page = sound(here.get(reverse("web:account-sessions")))
    assert "Firefox on Linux" in page.text
    assert "Safari on an iPhone" in page.text
    assert page.text.count("This session") == 1
    other = sessions.handle_of(there.session)
    sound(here.post(reverse("web:account-session-end", args=[other]), follow=True))
    assert there.get("/").status_code == 302
    third = signed_in(world)
    sound(here.post(reverse("web:account-sessions-end"), follow=True))
    assert (here.get("/").status_code, third.get("/").status_code) == (200, 302)


def test_signing_in_makes_a_new_key(world: World) -> None:
    client = Client()
    client.get(reverse("web:sign-in"))
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    client.cookies["fedstudy"] = planted
    client.post(reverse("web:sign-in"), {"username": world.pi.email, "password": worlds.PASSWORD})
    assert client.session.session_key != planted
    assert not Session.objects.filter(pk=planted).exists()


def test_a_session_is_over_after_half_an_hour_without_use(world: World, settings: object) -> None:
    client = signed_in(world)
    aged(client, seen=29 * 60)
    assert client.get("/").status_code == 200
    assert timezone.now().timestamp() - client.session[sessions.SEEN] < 5
    aged(client, seen=31 * 60)
    answer = client.get("/account")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in?next=/account")
    assert not Session.objects.filter(user=world.pi).exists()


def test_a_session_is_over_after_half_a_day_however_much_it_is_used(world: World) -> None:
    client = signed_in(world)
    aged(client, started=12 * 60 * 60 + 1)
    assert client.get("/").status_code == 302


def test_a_page_that_fetches_itself_is_no_use_and_learns_that_the_session_is_over(world: World) -> None:
    client, there = signed_in(world), reverse("web:run", args=[world.run.pk])
    aged(client, seen=29 * 60)
    live = {"HX-Request": "true", "FedStudy-Live": "1"}
    assert client.get(there, headers=live).status_code == 200
    assert timezone.now().timestamp() - client.session[sessions.SEEN] > 28 * 60
    aged(client, seen=31 * 60)
    assert client.get(there, headers=live).status_code == 401


def test_a_form_that_changes_a_part_of_its_page_is_use(world: World) -> None:
    client, there = signed_in(world), reverse("web:dictionary-draft", args=[world.study.pk])
    aged(client, seen=29 * 60)
    assert client.get(there, headers={"HX-Request": "true", "HX-Boosted": "true"}).status_code == 200
    assert timezone.now().timestamp() - client.session[sessions.SEEN] < 5


def test_the_api_holds_a_browsers_session_to_the_same_time(world: World) -> None:
    client = signed_in(world)
    assert client.get("/api/v1/me").status_code == 200
    aged(client, seen=31 * 60)
    assert client.get("/api/v1/me").status_code == 401


def test_a_session_without_a_beginning_is_over(world: World) -> None:
    client = signed_in(world)
    session = client.session
    del session[sessions.STARTED]
    session.save()
    assert client.get("/").status_code == 302


def test_a_new_password_keeps_this_session_and_ends_the_others(world: World) -> None:
    here, there = signed_in(world), signed_in(world)
    form = {"current": worlds.PASSWORD, "new": "another horse entirely"}
    page = sound(here.post(reverse("web:account-password"), form, follow=True))
    assert "Your password is changed" in page.text
    assert (here.get("/").status_code, there.get("/").status_code) == (200, 302)
    assert User.objects.get(pk=world.pi.pk).check_password("another horse entirely")


def test_a_wrong_password_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {**SimpleRateThrottle.THROTTLE_RATES, "password": "2/hour"}
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", rates)
    client, there = signed_in(world), reverse("web:account-password")
    form = {"current": "wrong", "new": "another horse entirely"}
    for _ in range(2):
        assert "This is not your present password" in sound(client.post(there, form), 400).text
    assert "Too many tries" in sound(client.post(there, {**form, "current": worlds.PASSWORD}), 429).text
    assert User.objects.get(pk=world.pi.pk).check_password(worlds.PASSWORD)


def test_a_new_name_stands_everywhere(world: World, browser: Browser) -> None:
    page = sound(browser("pi").post(reverse("web:account"), {"name": "Pat New"}, follow=True))
    assert page.text.count("Pat New") > 1
