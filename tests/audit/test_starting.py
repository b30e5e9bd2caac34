"""The portal tells the log that it runs another version or with other settings: once, whichever process comes first."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, connection

from audit.models import Event
from audit.presenters import detail_of, sentence
from portal import starting
from portal.environment import SingleSignOn
from portal.starting import CHANGED, UPGRADED, Start, note_start, settings_told, tell_start


@pytest.mark.django_db
def test_the_first_start_and_each_upgrade_is_an_event(settings: Any) -> None:
    for _ in range(2):
        note_start()
    assert list(Event.objects.order_by("pk").values_list("action", flat=True)) == [UPGRADED, CHANGED]
    settings.FEDSTUDY_SOFTWARE = "0.2.0+1a2b"
    for _ in range(2):
        tell_start()
    told = [event for event in Event.objects.order_by("pk") if event.action == UPGRADED]
    assert [sentence(event) for event in told] == [
        "The portal runs version 0.1.0 now; before it was none.",
        "The portal runs version 0.2.0+1a2b now; before it was 0.1.0.",
    ]
    assert json.loads(told[1].context)["auth"] == {"method": "system", "part": "portal"}


@pytest.mark.django_db
def test_settings_that_changed_are_named_and_no_value_or_secret_told(settings: Any) -> None:
    note_start()
    settings.FEDSTUDY_SESSION_IDLE_S, settings.FEDSTUDY_LOG_SECRET = 77, "another secret"
    settings.FEDSTUDY_SINGLE_SIGN_ON = SingleSignOn("https://sso.example.org", "client-7", "a secret of theirs")
    note_start()
    event = Event.objects.filter(action=CHANGED).latest("pk")
    assert detail_of(event)["changed"] == "FEDSTUDY_SESSION_IDLE_S, FEDSTUDY_SINGLE_SIGN_ON"
    for hidden in ("secret", "client-7", "LOG_SECRET"):
        assert hidden not in event.detail
    settings.FEDSTUDY_SINGLE_SIGN_ON = SingleSignOn("https://sso.example.org", "client-7", "a new secret of theirs")
    assert detail_of(event)["settings"] == settings_told()


@pytest.mark.django_db(transaction=True)
def test_of_processes_that_start_together_one_tells() -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: tell_start(), range(4)))
    assert sorted(Event.objects.values_list("action", flat=True)) == [CHANGED, UPGRADED]


def test_a_portal_whose_database_is_away_starts_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(starting, "note_start", away)
    monkeypatch.setattr(connection, "in_atomic_block", True)
    sent: list[Any] = []

    async def nothing(*_: object) -> None:
        raise AssertionError("it is for the server only")

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(Start(nothing)({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
