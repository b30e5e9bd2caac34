"""What a page hears of changes: what its reader may see, while they may, by no more streams than there may be."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import transaction
from django.test import AsyncClient, Client

from accounts.models import Session
from federation.runs.services import stop_run
from federation.runs.signals import run_changed
from notifications.services import notify
from portal import changes, streams
from portal.changes import announce
from tests.api import world as worlds
from tests.api.world import World
from tests.web.rounds import set_to_work

WAIT_S = 10


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Streams look after each other every moment; what other tests said is forgotten."""
    monkeypatch.setattr(streams, "ALIVE_S", 0.2)
    monkeypatch.setattr(streams, "GATHERS_S", 0.0)
    monkeypatch.setattr(streams, "GONE_S", 30.0)
    redis.Redis.from_url(settings.REDIS.url).delete("fedstudy:streams")
    yield


@pytest.fixture
def world(transactional_db: None) -> World:
    return worlds.build()


async def always() -> bool:
    return True


async def first_of(events: AsyncIterator[bytes], name: str) -> bytes:
    """The first event of that name."""
    async with asyncio.timeout(WAIT_S):
        async for event in events:
            if f"event: {name}\n".encode() in event:
                return event
    raise AssertionError(f"no {name} before the end")


def a_stream(*about: str, person: str = "", since: int | None = None) -> AsyncIterator[bytes]:
    moment = changes.now_ms() + streams.MARGIN_MS if since is None else since
    return streams.stream(person=person or str(uuid.uuid4()), about=about, since=moment, may_stay=always)


async def tell(*words: str) -> None:
    await sync_to_async(changes._publish)(" ".join(words))


async def test_a_stream_tells_what_it_is_about_and_nothing_else() -> None:
    own, other = (f"run:{uuid.uuid4()}" for _ in range(2))
    events = a_stream(own)
    await first_of(events, "alive")
    await tell(other)
    await tell(own)
    assert f"data: {own}".encode() in await first_of(events, "changed")
    await events.aclose()  # type: ignore[attr-defined]


async def test_what_changed_before_the_stream_stood_is_told_at_once() -> None:
    own, made_at = f"run:{uuid.uuid4()}", changes.now_ms()
    await tell(own)
    events = a_stream(own, since=made_at)
    assert own.encode() in await first_of(events, "changed")
    await events.aclose()  # type: ignore[attr-defined]


async def test_many_streams_share_one_ear_and_let_go_of_it() -> None:
    word = f"run:{uuid.uuid4()}"
    several = [a_stream(word) for _ in range(5)]
    for events in several:
        await first_of(events, "alive")
    ear = streams.listener()._ear
    assert ear is not None
    await tell(word)
    for events in several:
        await first_of(events, "changed")
        await events.aclose()  # type: ignore[attr-defined]
    assert streams.listener()._streams == {}
    assert streams.listener()._ear is None


async def test_a_person_has_so_many_streams_and_all_together_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PERSON_STREAMS", 2)
    monkeypatch.setattr(settings, "FEDSTUDY_MAX_STREAMS", 3)
    person, word = str(uuid.uuid4()), f"run:{uuid.uuid4()}"
    two = [a_stream(word, person=person) for _ in range(2)]
    for events in two:
        await first_of(events, "alive")
    with pytest.raises(streams.Full):
        await anext(a_stream(word, person=person))
    third = a_stream(word)
    await first_of(third, "alive")
    with pytest.raises(streams.Full):
        await anext(a_stream(word))
    await two[0].aclose()  # type: ignore[attr-defined]
    again = a_stream(word, person=person)
    await first_of(again, "alive")
    for events in (two[1], third, again):
        await events.aclose()  # type: ignore[attr-defined]


async def test_a_stream_ends_when_its_reader_may_not_stay_or_its_life_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> bool:
        return False

    word = f"run:{uuid.uuid4()}"
    events = streams.stream(person=str(uuid.uuid4()), about=[word], since=0, may_stay=never)
    await first_of(events, "over")
    monkeypatch.setattr(streams, "LIFE_S", 0.0)
    await first_of(a_stream(word), "over")


async def test_without_redis_there_is_no_stream_and_nobody_who_tells_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = redis.asyncio.Redis.from_url("redis://127.0.0.1:1/0")
    monkeypatch.setattr(streams.listener(), "redis", gone)
    with pytest.raises(streams.Full):
        await anext(a_stream(f"run:{uuid.uuid4()}"))
    monkeypatch.setattr(changes, "_shared", redis.Redis.from_url("redis://127.0.0.1:1/0"))
    monkeypatch.setattr(changes, "_rests_until", 0.0)
    await tell("run:1")
    assert changes._rests_until > 0


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said to have changed, in the order of it."""
    said: list[str] = []
    monkeypatch.setattr(changes, "_publish", lambda words: said.extend(words.split()))
    return said


def test_services_tell_after_the_commit_what_they_changed(world: World, told: list[str]) -> None:
    run = set_to_work(world)
    told.clear()
    with transaction.atomic():
        stop_run(run=run, by=world.pi)
        run_changed.send(sender=type(run), run_id=run.pk)
        notify(people=[world.auditor], kind="version", subject="x", link="/", key="x")
        assert told == []
    assert {f"run:{run.pk}", f"study:{run.study_id}", f"person:{world.auditor.pk}"} <= set(told)


def test_what_is_taken_back_is_not_told(world: World, told: list[str]) -> None:
    with transaction.atomic():
        announce(["run:1"])
        transaction.set_rollback(True)
    assert told == []


def listening(client: Client | AsyncClient, *about: str, since: str = "") -> object:
    return client.get("/live/events", {"about": about, "since": since}, headers={"Accept": "text/event-stream"})


@sync_to_async
def signed_in(world: World, who: str) -> tuple[AsyncClient, object, Session]:
    """Somebody's browser, their run, and their session."""
    client, run = AsyncClient(), set_to_work(world)
    client.force_login(getattr(world, who), backend="django.contrib.auth.backends.ModelBackend")
    return client, run.pk, Session.objects.get(user=getattr(world, who))


async def test_a_page_hears_of_its_run_until_its_session_ends(world: World) -> None:
    client, run, session = await signed_in(world, "pi")
    answer = await listening(client, f"run:{run}", f"person:{world.pi.pk}")  # type: ignore[misc]
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream")
    events = aiter(answer.streaming_content)
    await first_of(events, "alive")
    await sync_to_async(announce)([f"run:{run}"])
    await first_of(events, "changed")
    await sync_to_async(session.delete)()
    await first_of(events, "over")
    assert (await listening(client, f"run:{run}")).status_code == 401  # type: ignore[misc]


async def test_a_moment_that_is_too_long_is_now(world: World) -> None:
    client, run, session = await signed_in(world, "pi")
    answer = await listening(client, f"run:{run}", since="9" * 5_000)  # type: ignore[misc]
    assert answer.status_code == 200
    await sync_to_async(session.delete)()
    await first_of(aiter(answer.streaming_content), "over")


async def test_who_loses_a_right_hears_no_more(world: World) -> None:
    client, run, _ = await signed_in(world, "auditor")
    answer = await listening(client, f"run:{run}")  # type: ignore[misc]
    events = aiter(answer.streaming_content)
    await first_of(events, "alive")
    await sync_to_async(world.auditor.groups.clear)()
    await first_of(events, "over")
    assert (await listening(client, f"run:{run}")).status_code == 404  # type: ignore[misc]


@pytest.mark.parametrize("about", [(), ("run:1",), ("model:{run}",), ("run:{none}",), ("run:{run}", "person:{pi}")])
def test_nobody_hears_of_what_is_not_theirs(world: World, about: tuple[str, ...]) -> None:
    client, run = Client(), set_to_work(world)
    client.force_login(world.auditor, backend="django.contrib.auth.backends.ModelBackend")
    words = [word.format(run=run.pk, none=uuid.uuid4(), pi=world.pi.pk) for word in about]
    assert listening(client, *words).status_code == 404  # type: ignore[attr-defined]


def test_listening_keeps_no_session_alive_and_a_server_that_cannot_stream_says_so(world: World) -> None:
    client = Client()
    client.force_login(world.pi, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session["seen"] -= 600
    session.save()
    assert listening(client, f"person:{world.pi.pk}").status_code == 204  # type: ignore[attr-defined]
    assert client.session["seen"] == session["seen"]
