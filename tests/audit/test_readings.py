"""Who reads the log, has it proved or looks at results: an event for each person, thing and day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from redis.exceptions import RedisError

from accounts.models import User
from audit.models import Event
from audit.presenters import sentence
from portal.throttles import SignInByAccount, SignInByAddress
from tests.api.world import World
from tests.audit.logs import sequence

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_noted_yet() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def told(action: str) -> list[tuple[str, str, str]]:
    rows = Event.objects.filter(action=action).order_by("pk")
    return [(event.actor_label, event.object_label, event.study) for event in rows]


def test_reading_the_log_is_told_once_a_day_for_each_reader_and_study(world: World) -> None:
    study, auditor = world.study, world.auditor.name
    pages = [reverse(f"web:{name}", args=[study.pk]) for name in ("study-events", "study-timeline")]
    client, program = signed_in(world.auditor), world.client("auditor")
    for there in (*pages, reverse("web:events"), reverse("web:events")):
        assert client.get(there).status_code == 200
    program.get("/api/v1/audit/events", {"study": str(study.pk)})
    program.get("/api/v1/audit/events")
    of_study = (auditor, str(study), str(study.pk))
    assert told("audit:log:read") == [of_study, (auditor, auditor, "")]
    signed_in(world.pi).get(pages[0])
    assert told("audit:log:read")[2:] == [(world.pi.name, str(study), str(study.pk))]
    cache.clear()  # as on another day
    client.get(pages[1])
    assert told("audit:log:read")[3:] == [of_study]
    assert sentence(Event.objects.filter(action="audit:log:read").earliest("pk")).startswith(f"{auditor} read the log")


def test_without_the_cache_the_log_itself_says_what_was_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> bool:
        raise RedisError("away")

    monkeypatch.setattr("audit.readings.cache.add", away)
    program = world.client("auditor")
    for _ in range(2):
        assert program.get("/api/v1/audit/events").status_code == 200
    assert len(told("audit:log:read")) == 1


def test_proofs_and_looks_at_results_are_told(world: World) -> None:
    client, program = signed_in(world.auditor), world.client("auditor")
    sequence()
    event = Event.objects.filter(study=str(world.study.pk)).latest("pk")
    for _ in range(2):
        client.get(reverse("web:event", args=[event.event_id]))
        program.get(f"/api/v1/audit/events/{event.event_id}/proof")
        program.get("/api/v1/audit/log/consistency", {"old": 1, "new": 2})
    assert told("audit:log:proved") == [(world.auditor.name, world.auditor.name, "")]
    there = reverse("web:run", args=[world.run.pk])
    client.get(there)
    assert told("runs:results:viewed") == []  # it has not begun
    type(world.run).objects.filter(pk=world.run.pk).update(started_at=world.run.created_at)
    for _ in range(2):
        client.get(there)
        program.get(f"/api/v1/runs/{world.run.pk}/results")
    assert told("runs:results:viewed") == [(world.auditor.name, str(world.run), str(world.study.pk))]


def test_a_lockout_is_told_once_and_says_of_whom(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignInByAccount, "THROTTLE_RATES", {"sign-in-account": "2/minute"})
    monkeypatch.setattr(SignInByAddress, "THROTTLE_RATES", {"sign-in": "600/minute"})
    program, wrong = world.client("anonymous"), {"email": world.pi.email, "password": "wrong"}
    answers = [program.post("/api/v1/auth/token", wrong, format="json").status_code for _ in range(5)]
    assert answers == [401, 401, 429, 429, 429]
    assert told("accounts:session:locked") == [("sign-in", world.pi.name, "")]
    event = Event.objects.get(action="accounts:session:locked")
    assert (event.outcome, event.detail) == ("refused", '{"limit":"sign-in-account","seconds":"60"}')
