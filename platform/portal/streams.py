"""Server-sent events for pages: that something changed which a page shows, as `portal.changes` says it.

A process listens to Redis once, for all of its streams. A stream is let in anew every few minutes, is asked every few
seconds whether its reader may still see what it is about, and counts: for its person, and for all.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

import redis.asyncio
import structlog
from django.conf import settings
from redis.exceptions import RedisError

from portal.changes import CHANNEL, TIMEOUT_S, now_ms, stamp

log = structlog.get_logger(__name__)

ALIVE_S = 15.0
LIFE_S = 600.0
GONE_S = 3 * ALIVE_S
PERSON_STREAMS = 6
# Changes that come together are told together.
GATHERS_S = 0.2
# A page was made some moments before it asks for its stream, perhaps by another machine.
MARGIN_MS = 5_000


class Full(Exception):
    """There are as many streams as there may be, or nothing can be heard now."""


class Listener:
    """One process's ear at Redis; each stream has a set of words that changed since it looked last."""

    def __init__(self) -> None:
        self.redis = redis.asyncio.Redis.from_url(settings.REDIS.url, socket_connect_timeout=TIMEOUT_S)
        self._streams: dict[str, set[Inbox]] = {}
        self._ear: asyncio.Task[None] | None = None
        self._hears = asyncio.Event()

    async def add(self, inbox: Inbox) -> None:
        """Fill an inbox from now on. Raises Full while Redis is not there."""
        for word in inbox.about:
            self._streams.setdefault(word, set()).add(inbox)
        if self._ear is None:
            self._ear = asyncio.create_task(self._listen())
        try:
            await asyncio.wait_for(self._hears.wait(), timeout=2 * TIMEOUT_S)
        except TimeoutError:
            raise Full from None

    async def remove(self, inbox: Inbox) -> None:
        """Fill it no more. Whoever leaves last ends the listening."""
        for word in inbox.about:
            there = self._streams.get(word, set())
            there.discard(inbox)
            if not there:
                self._streams.pop(word, None)
        if not self._streams:
            if self._ear is not None:
                self._ear.cancel()
            await self.redis.aclose()

    async def _listen(self) -> None:
        try:
            async with self.redis.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(CHANNEL)
                self._hears.set()
                async for message in subscription.listen():
                    for word in message["data"].decode().split():
                        for inbox in self._streams.get(word, ()):
                            inbox.put(word)
        except RedisError as error:
            log.warning("changes_not_heard", error=type(error).__name__)
        finally:
            if self._ear is asyncio.current_task():
                self._ear = None
                self._hears.clear()
                for inbox in {inbox for streams in self._streams.values() for inbox in streams}:
                    inbox.close()


_listeners: WeakKeyDictionary[asyncio.AbstractEventLoop, Listener] = WeakKeyDictionary()


def listener() -> Listener:
    """That of this process (of its event loop)."""
    return _listeners.setdefault(asyncio.get_running_loop(), Listener())


class Inbox:
    """What changed of what a stream is about; as large as that, however slow its reader is."""

    def __init__(self, about: Iterable[str]) -> None:
        self.about = frozenset(about)
        self.is_closed = False
        self._changed: set[str] = set()
        self._bell = asyncio.Event()

    def put(self, word: str) -> None:
        """Note that something changed."""
        self._changed.add(word)
        self._bell.set()

    def close(self) -> None:
        """Nothing will come any more."""
        self.is_closed = True
        self._bell.set()

    async def take(self, timeout: float) -> list[str]:
        """What changed, as soon as something did; empty after so many seconds."""
        try:
            await asyncio.wait_for(self._bell.wait(), timeout)
        except TimeoutError:
            return []
        self._bell.clear()
        changed, self._changed = sorted(self._changed), set()
        return changed


@asynccontextmanager
async def _place(client: redis.asyncio.Redis, person: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Count a stream while it is open; what is yielded is to be called now and then, or its place is given away.

    Raises:
        Full: the person, or all, have as many as there may be.
    """
    name = uuid.uuid4().hex
    limits = {f"fedstudy:streams:{person}": PERSON_STREAMS, "fedstudy:streams": settings.FEDSTUDY_MAX_STREAMS}

    async def stay() -> list[int]:
        async with client.pipeline(transaction=True) as pipeline:
            for key in limits:
                pipeline.zremrangebyscore(key, "-inf", time.time())
                pipeline.zadd(key, {name: time.time() + GONE_S})
                pipeline.expire(key, round(GONE_S))
                pipeline.zcard(key)
            return (await pipeline.execute())[3::4]

    try:
        there = await stay()
        if any(count > limit for count, limit in zip(there, limits.values(), strict=True)):
            raise Full
        yield stay
    finally:
        for key in limits:
            await client.zrem(key, name)


async def stream(
    *, person: str, about: Iterable[str], since: int, may_stay: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """Events for a page: `changed` with the word, `alive` now and then, and at the end `over`; ids are moments in ms.

    Args:
        about: words like "run:<id>" that the reader may hear of.
        since: the moment in ms from which on changes count; those of before the stream are told first.
        may_stay: whether the reader may still hear of all of them; asked before each `alive`.

    Raises:
        Full: before anything is yielded.
    """
    ears, inbox = listener(), Inbox(about)
    is_open = False
    try:
        async with _place(ears.redis, person) as stay:
            await ears.add(inbox)
            await _recall(ears.redis, inbox, since - MARGIN_MS)
            is_open = True
            yield _event("alive")
            async for event in _events(inbox, stay, may_stay):
                yield event
    except RedisError:
        if not is_open:
            raise Full from None
    finally:
        await ears.remove(inbox)


async def _events(
    inbox: Inbox, stay: Callable[[], Awaitable[object]], may_stay: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    ends, asks_at = time.monotonic() + LIFE_S, time.monotonic() + ALIVE_S
    while time.monotonic() < ends and not inbox.is_closed:
        for word in await inbox.take(max(0.0, asks_at - time.monotonic())):
            yield _event("changed", word)
        await asyncio.sleep(GATHERS_S)
        if time.monotonic() >= asks_at:
            if not await may_stay():
                break
            await stay()
            yield _event("alive")
            asks_at = time.monotonic() + ALIVE_S
    yield _event("over")


async def _recall(client: redis.asyncio.Redis, inbox: Inbox, since: int) -> None:
    """Put into an inbox what changed after a moment."""
    about = sorted(inbox.about)
    moments = await client.mget([stamp(word) for word in about])
    for word, moment in zip(about, moments, strict=True):
        if moment is not None and int(moment) > since:
            inbox.put(word)


def _event(name: str, data: str = "") -> bytes:
    return f"id: {now_ms()}\nevent: {name}\ndata: {data}\n\n".encode()
