"""Words find what one may see, and nothing else."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from portal.search import KINDS, search
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound


def found(user: User, text: str, kind: str = "") -> set[tuple[str, str]]:
    return {(hit.kind, hit.title) for hit in search(user, text, kind=kind)}


def test_beginnings_of_words_find_things_of_every_kind(world: World) -> None:
    assert ("study", world.study.title) in found(world.pi, "hea dis")
    assert ("run", world.run.label) in found(world.pi, world.run.label)
    assert ("script", str(world.version)) in found(world.pi, world.version.script.name[:4])
    assert ("site", world.site.name) in found(world.site_admin, "CLEV")
    assert ("person", world.pi.name) in found(world.admin, world.pi.email)
    assert found(world.pi, "hea nothing") == set()


def test_an_id_finds_its_thing(world: World) -> None:
    assert found(world.pi, f" {world.run.pk} ") == {("run", world.run.label)}
    assert found(world.stranger, str(world.run.pk)) == set()


@pytest.mark.parametrize("text", ["", "  ", "&|!():*'\\", "___", "\x00"])
def test_signs_find_nothing_and_break_nothing(world: World, text: str) -> None:
    assert search(world.pi, text) == []


@pytest.mark.parametrize("text", ["hea:* | a", "'; drop", "hea & !dis", "x" * 5000, "é日本 <b>"])
def test_no_text_breaks_the_query(world: World, text: str) -> None:
    search(world.pi, text)


def test_nobody_finds_what_is_not_theirs(world: World) -> None:
    for text in (world.study.title, world.run.label, world.version.script.name, world.site.name, world.pi.email):
        assert found(world.stranger, text) == set()
    assert not found(world.pi, world.pi.email)
    assert {kind for kind, _ in found(world.admin, world.study.title)} <= {"site", "person"}


def test_it_costs_a_query_a_kind(world: World) -> None:
    with CaptureQueriesContext(connection) as asked:
        search(world.pi, "hea")
    assert len(asked) <= len(KINDS)


def test_the_page_shows_what_was_found_by_kind(world: World, browser: Browser) -> None:
    answer = browser("pi").get(reverse("web:search"), {"q": "hea <b>"})
    page = assert_sound(answer.content.decode())
    assert "Nothing found" in page.text
    answer = browser("pi").get(reverse("web:search"), {"q": "heart"})
    assert reverse("web:study", args=[world.study.pk]) in answer.content.decode()
    assert_sound(answer.content.decode())
    assert_sound(browser("admin").get(reverse("web:search"), {"q": world.pi.name}).content.decode())


def test_the_api_finds_the_same(world: World) -> None:
    client = APIClient()
    client.force_authenticate(world.pi)
    rows = client.get(reverse("api:search"), {"q": "heart", "kind": "study"}).json()["results"]
    assert [(row["kind"], row["id"]) for row in rows] == [("study", str(world.study.pk))]
    assert client.get(reverse("api:search"), {"q": ""}).json()["code"] == "E_INVALID"
    assert client.get(reverse("api:search"), {"q": "x", "kind": "model"}).json()["code"] == "E_INVALID"
