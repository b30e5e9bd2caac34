"""Who sees which page, and that every page is sound."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from tests.api import world as worlds
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound

ROLES = ("anonymous", "stranger", "pi", "site_admin", "auditor", "admin")
Address = Callable[[World], str]


def address(name: str, **objects: str) -> Address:
    """The address of a page of the world: `study_id="study"` names the world's study."""
    return lambda world: reverse(
        f"web:{name}", kwargs={key: getattr(world, value).pk for key, value in objects.items()}
    )


# page -> what anonymous, stranger, pi, site_admin, auditor and admin get
PAGES: dict[str, tuple[Address, tuple[int, int, int, int, int, int]]] = {
    "studies": (address("studies"), (302, 200, 200, 200, 200, 200)),
    "study-new": (address("study-new"), (302, 200, 200, 200, 200, 403)),
    "study": (address("study", study_id="study"), (302, 404, 200, 200, 200, 404)),
    "study-dictionary": (address("study-dictionary", study_id="study"), (302, 404, 200, 200, 200, 404)),
    "dictionary-new": (address("dictionary-new", study_id="study"), (302, 404, 200, 403, 403, 404)),
    "study-events": (address("study-events", study_id="study"), (302, 404, 200, 403, 200, 404)),
    "enrolment-new": (address("enrolment-new", study_id="study"), (302, 404, 200, 403, 403, 404)),
    "enrolment": (address("enrolment", enrolment_id="enrolment"), (302, 404, 200, 200, 200, 404)),
    "script-new": (address("script-new", study_id="study"), (302, 404, 200, 403, 403, 404)),
    "version": (address("version", version_id="version"), (302, 404, 200, 200, 200, 404)),
    "run-new": (address("run-new", study_id="study"), (302, 404, 200, 403, 403, 404)),
    "run": (address("run", run_id="run"), (302, 404, 200, 200, 200, 404)),
    "sites": (address("sites"), (302, 200, 200, 200, 200, 200)),
    "site-new": (address("site-new"), (302, 403, 403, 403, 403, 200)),
    "site": (address("site", site_id="site"), (302, 404, 404, 200, 404, 200)),
    "events": (address("events"), (302, 200, 200, 200, 200, 200)),
    "styleguide": (address("styleguide"), (200, 200, 200, 200, 200, 200)),
}
ACTIONS: dict[str, tuple[Address, dict[str, str]]] = {
    "study-transition": (address("study-transition", study_id="study"), {"to": "closed"}),
    "enrolment-answer": (
        lambda world: reverse("web:enrolment-answer", args=[world.enrolment.pk, "withdraw"]),
        {"reason": "x"},
    ),
    "run-start": (address("run-start", run_id="run"), {}),
    "run-stop": (address("run-stop", run_id="run"), {}),
    "node-new": (address("node-new", site_id="site"), {"name": "second"}),
    "node-confirm": (address("node-confirm", node_id="node"), {"words": "x"}),
    "node-revoke": (address("node-revoke", node_id="node"), {}),
}


def test_every_page_stands_in_one_of_the_tables() -> None:
    names = {str(pattern.name) for pattern in get_resolver("portal.web.urls").url_patterns if pattern.name}
    assert names - {"sign-in", "sign-out"} == set(PAGES) | set(ACTIONS)


@pytest.mark.parametrize("name", PAGES)
def test_each_role_gets_what_the_table_says(name: str, world: World, browser: Browser) -> None:
    find, expected = PAGES[name]
    answers = [browser(who).get(find(world)) for who in ROLES]
    assert tuple(answer.status_code for answer in answers) == expected
    for answer in answers:
        if answer.status_code == 302:
            assert answer.headers["Location"].startswith("/sign-in?next=")
        else:
            assert_sound(answer.content.decode())
            assert "'unsafe" not in answer.headers["Content-Security-Policy"]
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            assert "style-src 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_are_posts_and_strangers_do_not_learn_what_exists(name: str, world: World, browser: Browser) -> None:
    find, data = ACTIONS[name]
    assert browser("pi").get(find(world)).status_code == 405
    assert browser("anonymous").post(find(world), data).status_code == 302
    assert browser("stranger").post(find(world), data).status_code == 404
    assert browser("auditor").post(find(world), data).status_code in (403, 404)


NAMELESS = {"studies", "study-new", "sites", "site-new", "events", "styleguide"}


@pytest.mark.parametrize("name", [name for name in [*PAGES, *ACTIONS] if name not in NAMELESS])
def test_objects_that_do_not_exist_look_like_foreign_ones(name: str, world: World, browser: Browser) -> None:
    find = (PAGES.get(name) or ACTIONS[name])[0]
    there = find(world)
    keys = [str(getattr(world, part).pk) for part in ("study", "enrolment", "version", "run", "site", "node")]
    key = next(key for key in keys if key in there)
    method = "post" if name in ACTIONS else "get"
    foreign = getattr(browser("stranger"), method)(there)
    missing = getattr(browser("stranger"), method)(there.replace(key, "00000000-0000-4000-8000-000000000000"))
    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content


def test_forms_carry_a_token_and_are_refused_without_it(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post(reverse("web:study-new"), {"title": "Forged"})
    assert answer.status_code == 403
    assert "This form is too old" in assert_sound(answer.content.decode()).text


def test_an_address_that_does_not_exist_helps_on(browser: Browser) -> None:
    answer = browser("pi").get("/nowhere")
    assert answer.status_code == 404
    assert "Go to your studies" in assert_sound(answer.content.decode()).text


def test_the_page_for_faults_renders_without_anything() -> None:
    from django.template.loader import render_to_string

    for name in ("400", "403", "403_csrf", "404", "500"):
        assert_sound(render_to_string(f"{name}.html"))


@pytest.mark.parametrize(
    ("who", "entries"),
    [
        ("stranger", {"Studies"}),
        ("pi", {"Studies", "Log"}),
        ("auditor", {"Studies", "Log"}),
        ("site_admin", {"Studies", "Sites and nodes", "Log"}),
        ("admin", {"Studies", "Sites and nodes", "Log"}),
    ],
)
def test_the_navigation_knows_the_role(who: str, entries: set[str], world: World, browser: Browser) -> None:
    answer = browser(who).get("/")
    assert {item.label for item in answer.context["navigation"]} == entries
    assert [item.label for item in answer.context["navigation"] if item.current] == ["Studies"]


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


def test_signing_in_does_not_lead_to_other_hosts(world: World) -> None:
    answer = Client().post(
        reverse("web:sign-in"),
        {"username": world.pi.email, "password": worlds.PASSWORD, "next": "https://evil.example/"},
    )
    assert answer.headers["Location"] == "/"
