"""Times in the reader's own zone, and what they are told of, chosen on the pages and by the API."""

from __future__ import annotations

import datetime as dt

import pytest
from django.template import Context, Template
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tokens import begin_program_session
from audit.models import Event
from notifications.models import KINDS
from notifications.selectors import preference_of
from portal.web.presenters.notices import WORDS
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound

SUMMER = dt.datetime(2026, 7, 1, 22, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("zone", "shown", "exact"),
    [
        ("UTC", "1 Jul 2026, 22:30 UTC", 'title="2026-07-01 22:30:00 UTC"'),
        ("Europe/Zurich", "2 Jul 2026, 00:30 CEST", 'title="2026-07-02 00:30:00 CEST · 2026-07-01 22:30:00 UTC"'),
    ],
)
def test_a_time_is_shown_in_a_zone_and_names_it(zone: str, shown: str, exact: str) -> None:
    with timezone.override(zone):
        text = Template("{% load fedstudy %}{% when moment relative=False %}").render(Context({"moment": SUMMER}))
    assert shown in text
    assert exact in text
    assert 'datetime="2026-07-01T22:30:00+00:00"' in text


def test_people_choose_their_zone_and_pages_follow(world: World, browser: Browser) -> None:
    pi, there = browser("pi"), reverse("web:account-time-zone")
    assert "Times are UTC" in assert_sound(pi.get("/account").content.decode()).text
    page = assert_sound(pi.post(there, {"time_zone": "Asia/Tokyo"}, follow=True).content.decode())
    assert "Times are Asia/Tokyo now." in page.text
    Event.objects.filter(action="accounts:user:zoned").get()
    log = pi.get(reverse("web:study-events", args=[world.study.pk])).content.decode()
    assert "JST" in log
    assert "JST" not in browser("auditor").get(reverse("web:study-events", args=[world.study.pk])).content.decode()
    assert "E_INVALID" in assert_sound(pi.post(there, {"time_zone": "Mars"}, follow=True).content.decode()).text
    User.objects.filter(pk=world.pi.pk).update(time_zone="Gone/Away")
    assert "Times are UTC" in assert_sound(pi.get("/account").content.decode()).text


def test_days_of_the_log_are_the_readers(world: World, browser: Browser) -> None:
    pi, there = browser("pi"), reverse("web:study-events", args=[world.study.pk])
    User.objects.filter(pk=world.pi.pk).update(time_zone="Pacific/Kiritimati")
    first = Event.objects.filter(study=str(world.study.pk)).order_by("pk")[0]
    day = first.at.astimezone(world.pi.__class__(time_zone="Pacific/Kiritimati").zone).date()
    assert f"event-{first.pk}" in pi.get(there, {"since": day, "until": day}).content.decode()
    before = day - dt.timedelta(days=1)
    assert f"event-{first.pk}" not in pi.get(there, {"since": before, "until": before}).content.decode()


def test_the_api_takes_a_zone_and_kinds(world: World) -> None:
    _, token = begin_program_session(user=world.pi)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    assert client.patch("/api/v1/me", {"time_zone": "Europe/Zurich"}).json()["time_zone"] == "Europe/Zurich"
    assert client.patch("/api/v1/me", {"name": "Pat"}).json()["name"] == "Pat"
    refused = client.patch("/api/v1/me", {"name": "Other", "time_zone": "Mars"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "time_zone")
    assert User.objects.get(pk=world.pi.pk).name == "Pat"
    chosen = {"by_email": True, "not_on_page": ["answer"], "not_by_email": ["question"]}
    assert client.put("/api/v1/notifications/preference", chosen).json() == chosen
    assert client.put("/api/v1/notifications/preference", {"by_email": False}).json() == {**chosen, "by_email": False}
    assert client.put("/api/v1/notifications/preference", {**chosen, "not_on_page": ["factors"]}).status_code == 400


def test_kinds_are_ticked_on_the_page(world: World, browser: Browser) -> None:
    pi, there = browser("pi"), reverse("web:notification-settings")
    assert set(WORDS) == set(KINDS)
    assert_sound(pi.get(there).content.decode())
    page = assert_sound(pi.post(there, {"page": ["question"], "email": ["answer"]}, follow=True).content.decode())
    assert "You are told what you chose" in page.text
    said = preference_of(world.pi)
    assert set(said.not_on_page) == set(KINDS) - {"question", "factors", "moved"}
    assert set(said.not_by_email) == set(KINDS) - {"answer"}
    text = pi.get(there).content.decode().partition("<main")[2].partition("</main>")[0]
    assert text.count("checked") == 4
