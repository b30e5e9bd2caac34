"""Errors, navigation, signing in and out. Who sees which page: `tests.security.test_access`."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from rest_framework.throttling import SimpleRateThrottle

from accounts.permissions import Denied, Permission
from audit.models import Event
from nodes.registry.models import Node
from portal import failures
from portal.web.presenters.rights import DEEDS, advice_on
from tests.api import world as worlds
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound


def test_forms_carry_a_token_and_are_refused_without_it(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post(reverse("web:study-new"), {"title": "Forged"})
    assert answer.status_code == 403
    assert "This form is too old" in assert_sound(answer.content.decode()).text


def test_an_address_that_does_not_exist_helps_on(browser: Browser) -> None:
    answer = browser("pi").get("/nowhere")
    assert answer.status_code == 404
    page = assert_sound(answer.content.decode())
    assert "Go to your studies" in page.text
    assert [item.label for item in answer.context["navigation"]] == ["Studies", "Log"]
    nobody = browser("anonymous").get("/nowhere")
    assert nobody.status_code == 404
    assert "Sign out" not in assert_sound(nobody.content.decode()).text


def test_the_page_for_faults_asks_the_database_nothing() -> None:
    request = RequestFactory().get("/studies")
    for answer in (failures.server_error(request), failures.bad_request(request, ValueError())):
        assert "Code E_" in assert_sound(answer.content.decode()).text
    assert failures.server_error(RequestFactory().get("/api/v1/studies")).headers["Content-Type"].endswith("json")


def test_error_pages_name_the_code_and_the_request(world: World, browser: Browser) -> None:
    client = Client(enforce_csrf_checks=True)
    refused = client.post(reverse("web:sign-in"), {"username": "pi@demo.example", "password": "x"})
    page = assert_sound(refused.content.decode())
    assert refused.status_code == 403
    assert "This form is too old" in page.text and "E_CSRF" in page.text
    assert refused.headers["X-Request-ID"] in page.text
    missing = browser("pi").get(reverse("web:run", args=[UUID(int=1)]))
    assert missing.headers["X-Request-ID"] in assert_sound(missing.content.decode()).text


def test_a_refusal_says_which_right_is_missing_and_who_can_give_it(world: World, browser: Browser) -> None:
    """And no name that only the portal's code knows."""
    asked = [
        (
            "auditor",
            reverse("web:study-set-up", args=[world.study.pk]),
            "to change the study's description",
            "investigator",
        ),
        ("auditor", reverse("web:study-new"), "to begin a study", "Ask somebody who leads studies"),
        ("pi", reverse("web:site-new"), "to add sites", "This right belongs to platform administrators"),
    ]
    for who, there, deed, giver in asked:
        answer = browser(who).get(there)
        page = assert_sound(answer.content.decode())
        assert answer.status_code == 403
        assert f"You lack the right {deed}" in page.text
        assert giver in page.text
        assert not re.search(r"(study|site|platform)\.[a-z_]+", page.text)
    german = browser("auditor").get(asked[0][1], headers={"Accept-Language": "de"}).content.decode()
    assert "Ihnen fehlt das Recht, " in german and "Studienleitung" in german


def test_every_right_has_its_words() -> None:
    assert DEEDS.keys() == set(Permission)
    assert "node" in advice_on(Denied(Permission.DATASET_REGISTER)).advice
    assert "data steward" in advice_on(Denied(Permission.RELEASE_COSIGN)).advice
    assert advice_on(Denied(Permission.SITE_VIEW, None, "Only they.")).explanation == "Only they."


def test_a_part_of_a_page_gets_a_notice_in_place_of_a_page(world: World, browser: Browser) -> None:
    for there in (reverse("web:run", args=[UUID(int=1)]), "/nowhere"):
        answer = browser("pi").get(there, headers={"HX-Request": "true"})
        text = answer.content.decode()
        assert (answer.status_code, answer.headers["FedStudy-Error"]) == (404, "E_NOT_FOUND")
        assert "<html" not in text and answer.headers["X-Request-ID"] in text


def test_the_navigation_knows_the_role(world: World, browser: Browser) -> None:
    everything = ["Studies", "Sites and nodes", "Log"]
    expected = {
        "stranger": ["Studies"],
        "pi": ["Studies", "Log"],
        "auditor": ["Studies", "Log"],
        "site_admin": everything,
        "admin": ["Studies", "Sites and nodes", "Platform", "Log"],
    }
    for who, entries in expected.items():
        answer = browser(who).get("/")
        assert [item.label for item in answer.context["navigation"]] == entries, who
        assert [item.label for item in answer.context["navigation"] if item.current] == ["Studies"], who


def test_signing_in_says_the_same_whatever_is_wrong(world: World) -> None:
    client, there = Client(), reverse("web:sign-in")
    world.stranger.is_active = False
    world.stranger.save()
    tries = [("pi@demo.example", "wrong"), ("nobody@demo.example", "wrong"), (world.stranger.email, worlds.PASSWORD)]
    texts = set()
    for email, password in tries:
        answer = client.post(there, {"username": email, "password": password})
        page = assert_sound(answer.content.decode())
        texts.add(page.text.replace(email, ""))
        assert "wrong" in page.text
    assert len(texts) == 1


def test_signing_in_and_out(world: World) -> None:
    client = Client()
    answer = client.post(
        reverse("web:sign-in"), {"username": "PI@demo.example", "password": worlds.PASSWORD, "next": "/sites"}
    )
    assert answer.headers["Location"] == "/sites"
    assert client.get("/").status_code == 200
    assert client.get(reverse("web:sign-out")).status_code == 405
    assert client.post(reverse("web:sign-out")).status_code == 302
    assert client.get("/").status_code == 302
    events = Event.objects.filter(object_id=str(world.pi.pk), action__startswith="accounts:session").order_by("pk")
    assert [event.action for event in events] == ["accounts:session:opened", "accounts:session:closed"]


def test_too_many_tries_are_held_off_whether_the_account_exists_or_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", {"sign-in": "50/hour", "sign-in-account": "2/hour"})
    for email in (world.pi.email, "nobody@demo.example"):
        guess = {"username": email, "password": "wrong"}
        codes = [Client().post(reverse("web:sign-in"), guess).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
    answer = Client().post(reverse("web:sign-in"), {"username": world.pi.email, "password": worlds.PASSWORD})
    assert answer.status_code == 429
    assert "Too many tries" in assert_sound(answer.content.decode()).text


def test_signing_in_does_not_lead_to_other_hosts(world: World) -> None:
    answer = Client().post(
        reverse("web:sign-in"),
        {"username": world.pi.email, "password": worlds.PASSWORD, "next": "https://evil.example/"},
    )
    assert answer.headers["Location"] == "/"


def test_a_nodes_page_tells_of_pauses_clocks_and_frozen_keys(world: World, browser: Browser) -> None:
    page = reverse("web:site", args=[world.site.pk])
    world.node.status = {"paused": {"since": "2030-01-01", "reason": "audit of the ward"}, "clock_off_s": 90}
    world.node.last_seen_at = timezone.now()
    world.node.save()
    text = browser("site_admin").get(page).content.decode()
    assert "audit of the ward" in text
    assert "It is 1 min 30 s ahead of the portal's." in text
    assert "Paused" in text
    Node.objects.filter(pk=world.node.pk).update(status={"clock_off_s": -40})
    assert "It is 40 s behind the portal's." in browser("site_admin").get(page).content.decode()
    Node.objects.filter(pk=world.node.pk).update(state="frozen")
    answer = browser("site_admin").get(page)
    assert_sound(answer.content.decode())
    assert "Two agents use this node" in answer.content.decode()
    answer = browser("site_admin").post(reverse("web:node-token", args=[world.node.pk]))
    assert answer.status_code == 201
    assert "fedstudy-node rotate --token" in answer.content.decode()
