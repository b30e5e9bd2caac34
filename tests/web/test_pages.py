"""Who sees which page, and that every page is sound."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone
from rest_framework.throttling import SimpleRateThrottle

from audit.models import Event
from federation.runs.models import Model, Round, Run, Schedule
from federation.runs.schedules import Timing, create_schedule
from nodes.registry.models import Node
from notifications.models import Notification
from notifications.services import notify
from studies.scripts.models import ReviewThread
from studies.scripts.reviews import open_thread
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


def thread_of(world: World) -> ReviewThread:
    """A question of the site on the world's version."""
    known = ReviewThread.objects.filter(version=world.version).first()
    return known or open_thread(version=world.version, text="Why?", by=world.site_admin)


def told(world: World) -> Notification:
    """Something that the investigator was told."""
    notify(people=[world.pi], kind="question", subject="Why?", link="/", key="test")
    return Notification.objects.get(key="test")


def prepared(world: World) -> Run:
    """The world's run, its preparation committed."""
    if not world.run.round_set.exists():
        model = Model.objects.create(run=world.run, round_number=0, sha256="0" * 64, size=1, schema={})
        Round.objects.create(run=world.run, number=0, state="committed", model_out=model, committed_at=timezone.now())
    return world.run


def scheduled(world: World) -> Schedule:
    """A schedule that waits for one site."""
    known = Schedule.objects.first()
    return known or create_schedule(run=world.run, timing=Timing("ready", sites_needed=1), by=world.pi)


# page -> what anonymous, stranger, pi, site_admin, auditor and admin get
PAGES: dict[str, tuple[Address, tuple[int, int, int, int, int, int]]] = {
    "studies": (address("studies"), (302, 200, 200, 200, 200, 200)),
    "study-new": (address("study-new"), (302, 200, 200, 403, 403, 403)),
    "study": (address("study", study_id="study"), (302, 404, 200, 200, 200, 404)),
    "study-dictionary": (address("study-dictionary", study_id="study"), (302, 404, 200, 200, 200, 404)),
    "dictionary-new": (address("dictionary-new", study_id="study"), (302, 404, 200, 403, 403, 404)),
    "study-protocol": (address("study-protocol", study_id="study"), (302, 404, 200, 200, 200, 404)),
    "protocol-new": (address("protocol-new", study_id="study"), (302, 404, 200, 403, 403, 404)),
    "study-people": (address("study-people", study_id="study"), (302, 404, 200, 200, 200, 404)),
    "site-people": (address("site-people", site_id="site"), (302, 404, 404, 200, 404, 200)),
    "study-events": (address("study-events", study_id="study"), (302, 404, 200, 200, 200, 404)),
    "enrolment-new": (address("enrolment-new", study_id="study"), (302, 404, 200, 403, 403, 404)),
    "enrolment": (address("enrolment", enrolment_id="enrolment"), (302, 404, 200, 200, 200, 404)),
    "script-new": (address("script-new", study_id="study"), (302, 404, 200, 403, 403, 404)),
    "version": (address("version", version_id="version"), (302, 404, 200, 200, 200, 404)),
    "version-source": (address("version-source", version_id="version"), (302, 404, 200, 200, 200, 404)),
    "version-changes": (address("version-changes", version_id="version"), (302, 404, 200, 200, 200, 404)),
    "version-review": (address("version-review", version_id="version"), (302, 404, 200, 200, 200, 404)),
    "run-new": (address("run-new", study_id="study"), (302, 404, 200, 403, 403, 404)),
    "run": (address("run", run_id="run"), (302, 404, 200, 200, 200, 404)),
    "run-fork": (
        lambda world: reverse("web:run-fork", args=[prepared(world).pk]),
        (302, 404, 200, 403, 403, 404),
    ),
    "schedule-new": (address("schedule-new", run_id="run"), (302, 404, 200, 403, 403, 404)),
    "study-schedules": (
        lambda world: reverse("web:study-schedules", args=[scheduled(world).template.study_id]),
        (302, 404, 200, 200, 200, 404),
    ),
    "sites": (address("sites"), (302, 200, 200, 200, 200, 200)),
    "site-new": (address("site-new"), (302, 403, 403, 403, 403, 200)),
    "site": (address("site", site_id="site"), (302, 404, 404, 200, 404, 200)),
    "events": (address("events"), (302, 200, 200, 200, 200, 200)),
    "notifications": (address("notifications"), (302, 200, 200, 200, 200, 200)),
    "styleguide": (address("styleguide"), (200, 200, 200, 200, 200, 200)),
}
# what everybody who signed in may do, to themselves only
OWN = {"notifications-read", "notifications-email"}
ACTIONS: dict[str, tuple[Address, dict[str, str]]] = {
    "study-transition": (address("study-transition", study_id="study"), {"to": "closed"}),
    "enrolment-answer": (
        lambda world: reverse("web:enrolment-answer", args=[world.enrolment.pk, "withdraw"]),
        {"reason": "x"},
    ),
    "version-withdraw": (address("version-withdraw", version_id="version"), {}),
    "study-role-revoke": (
        lambda world: reverse("web:study-role-revoke", args=[world.study.pk, world.auditor.pk, "auditor"]),
        {},
    ),
    "site-role-revoke": (
        lambda world: reverse("web:site-role-revoke", args=[world.site.pk, world.site_admin.pk, "admin"]),
        {},
    ),
    "notification": (lambda world: reverse("web:notification", args=[told(world).pk]), {}),
    "thread-new": (address("thread-new", version_id="version"), {"kind": "question", "text": "x"}),
    "thread": (lambda world: reverse("web:thread", args=[thread_of(world).pk, "resolve"]), {}),
    "checklist": (address("checklist", version_id="version"), {"site": "x", "items": "purpose"}),
    "run-start": (address("run-start", run_id="run"), {}),
    "run-pause": (address("run-pause", run_id="run"), {}),
    "run-resume": (address("run-resume", run_id="run"), {}),
    "run-priority": (address("run-priority", run_id="run"), {"priority": "high"}),
    "schedule": (lambda world: reverse("web:schedule", args=[scheduled(world).pk, "end"]), {}),
    "run-stop": (address("run-stop", run_id="run"), {}),
    "node-new": (address("node-new", site_id="site"), {"name": "second"}),
    "node-token": (address("node-token", node_id="node"), {}),
    "node-confirm": (address("node-confirm", node_id="node"), {"words": "x"}),
    "node-revoke": (address("node-revoke", node_id="node"), {}),
}


def test_every_page_stands_in_one_of_the_tables() -> None:
    names = {str(pattern.name) for pattern in get_resolver("portal.web.urls").url_patterns if pattern.name}
    own = {"sign-in", "sign-out", "protocol-file", "run-model", "run-export", "study-investigator", *OWN}
    assert names - own == set(PAGES) | set(ACTIONS)


@pytest.mark.parametrize("who", ROLES)
def test_each_role_gets_what_the_table_says(who: str, world: World, browser: Browser) -> None:
    client, place = browser(who), ROLES.index(who)
    answers = {name: client.get(find(world)) for name, (find, _) in PAGES.items()}
    expected = {name: codes[place] for name, (_, codes) in PAGES.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == expected
    for answer in answers.values():
        if answer.status_code == 302:
            assert answer.headers["Location"].startswith("/sign-in?next=")
        else:
            assert_sound(answer.content.decode())
            policy = answer.headers["Content-Security-Policy"]
            assert "'unsafe" not in policy
            assert {"script-src 'self'", "style-src 'self'"} <= {part.strip() for part in policy.split(";")}


def test_actions_are_posts_and_strangers_do_not_learn_what_exists(world: World, browser: Browser) -> None:
    for name, (find, data) in ACTIONS.items():
        there = find(world)
        assert browser("pi").get(there).status_code == 405, name
        assert browser("anonymous").post(there, data).status_code == 302, name
        assert browser("stranger").post(there, data).status_code == 404, name
        assert browser("auditor").post(there, data).status_code in (403, 404), name


def without_token(content: bytes) -> bytes:
    """The page without the token of its form for signing out, which no two pages share."""
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", content)


def test_objects_that_do_not_exist_look_like_foreign_ones(world: World, browser: Browser) -> None:
    client = browser("stranger")
    parts = ("study", "enrolment", "version", "run", "site", "node")
    for name, (find, _) in {**PAGES, **ACTIONS}.items():
        there = find(world)
        key = next((key for key in (str(getattr(world, part).pk) for part in parts) if key in there), None)
        if key is not None:
            ask = client.post if name in ACTIONS else client.get
            foreign, missing = ask(there), ask(there.replace(key, "00000000-0000-4000-8000-000000000000"))
            assert foreign.status_code == missing.status_code == 404, name
            assert without_token(foreign.content) == without_token(missing.content), name


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


def test_the_page_for_faults_renders_without_anything() -> None:
    from django.template.loader import render_to_string

    for name in ("400", "403", "403_csrf", "404", "500"):
        assert_sound(render_to_string(f"{name}.html"))


def test_the_navigation_knows_the_role(world: World, browser: Browser) -> None:
    everything = ["Studies", "Sites and nodes", "Log"]
    expected = {
        "stranger": ["Studies"],
        "pi": ["Studies", "Log"],
        "auditor": ["Studies", "Log"],
        "site_admin": everything,
        "admin": everything,
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
    assert "90 seconds" in text
    assert "Paused" in text
    Node.objects.filter(pk=world.node.pk).update(state="frozen")
    answer = browser("site_admin").get(page)
    assert_sound(answer.content.decode())
    assert "Two agents use this node" in answer.content.decode()
    answer = browser("site_admin").post(reverse("web:node-token", args=[world.node.pk]))
    assert answer.status_code == 201
    assert "fedstudy-node rotate --token" in answer.content.decode()
