"""A node hears at once that a message waits for it, and only what is meant for it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone

from fedstudy_core import signed_request
from portal import wakes
from portal.api.node_events import _signed_in
from studies.enrolment.services import change_level
from tests.api import world as worlds
from tests.factories.pools import enrolment_of, new_pool


async def heard(node: uuid.UUID, *woken: uuid.UUID, say: Callable[..., None] = wakes.wake) -> list[bytes]:
    """What a node's connection says when these nodes are woken."""
    stream = wakes.stream(node)
    said = [await anext(stream)]
    await sync_to_async(say)(None, node_ids=woken)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wakes, "ALIVE_S", 0.2)
        said += [await anext(stream) for _ in range(3)]
    await stream.aclose()
    return said


def test_a_node_hears_of_its_own_messages_at_once() -> None:
    node = uuid.uuid4()
    assert wakes.MESSAGE in asyncio.run(heard(node, uuid.uuid4(), node))


def test_a_node_hears_nothing_of_others_messages() -> None:
    assert wakes.MESSAGE not in asyncio.run(heard(uuid.uuid4(), uuid.uuid4()))


@pytest.mark.django_db(transaction=True)
def test_a_node_that_listens_holds_no_connection_to_the_database() -> None:
    world = worlds.build()
    path = "/api/v1/node/events"
    headers = signed_request.sign(
        world.keys.identity, node=str(world.node.pk), method="GET", path=path, body=b"", now=timezone.now(), sequence=1
    )
    assert connection.connection is not None
    assert _signed_in(RequestFactory().get(path, headers=headers)) == world.node
    assert connection.connection is None


@pytest.mark.django_db
def test_nodes_hear_at_once_of_levels_and_of_pooled_rows(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any, settings: Any, tmp_path: Path
) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path
    pool, told = new_pool(), []
    monkeypatch.setattr(wakes, "_publish", lambda nodes, event: told.append((event, [str(node) for node in nodes])))
    with django_capture_on_commit_callbacks(execute=True):
        pool.send(pool.give())
    assert told == [("news", [str(pool.centre.node.pk)])]
    with django_capture_on_commit_callbacks(execute=True):
        change_level(enrolment=enrolment_of(pool.member), level="F3", by=pool.member.admin)
    assert told[1:] == [("news", [str(pool.member.node.pk)])]


def test_news_come_as_what_they_are() -> None:
    node = uuid.uuid4()
    said = asyncio.run(heard(node, node, say=lambda *_, node_ids: wakes._publish(node_ids, "news")))
    assert wakes.NEWS in said
    assert wakes.MESSAGE not in said


def test_without_redis_nobody_is_woken_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "_shared", redis.Redis.from_url("redis://127.0.0.1:1/0"))
    wakes.wake(None, node_ids=[uuid.uuid4()])


def test_a_connection_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "LIFE_S", 0.0)

    async def everything() -> list[bytes]:
        return [part async for part in wakes.stream(uuid.uuid4())]

    assert asyncio.run(everything()) == [wakes.CONNECTED]
