"""Waking nodes: each holds one connection open, on which the portal says at once that a message waits at the SuperLink.

It is a hint and nothing else: what is lost costs a node the seconds until it asks by itself. So it goes through Redis,
unsigned and unstored, and who listens learns nothing but when.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from typing import Any
from uuid import UUID

import redis
import redis.asyncio
import structlog
from django.conf import settings
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

LIFE_S = 600.0
ALIVE_S = 15.0
CONNECTED, ALIVE, MESSAGE = b": connected\n\n", b": alive\n\n", b"event: message\ndata:\n\n"


def channel(node_id: UUID | str) -> str:
    """The Redis channel of a node."""
    return f"fedstudy:wake:{node_id}"


def wake(sender: Any, node_ids: Iterable[UUID], **_: Any) -> None:
    """Say that messages wait for these nodes (receiver of `federation.runs.signals.messages_sent`)."""
    try:
        with _client().pipeline(transaction=False) as pipeline:
            for node_id in node_ids:
                pipeline.publish(channel(node_id), "message")
            pipeline.execute()
    except RedisError as error:
        log.warning("nodes_not_woken", error=type(error).__name__)


_shared: redis.Redis | None = None


def _client() -> redis.Redis:
    global _shared  # noqa: PLW0603 - one pool of connections a process
    if _shared is None:
        _shared = redis.Redis.from_url(settings.REDIS.url)
    return _shared


async def stream(node_id: UUID) -> AsyncIterator[bytes]:
    """Server-sent events for one node, for ten minutes; then it connects anew, if it is still let in."""
    ends = time.monotonic() + LIFE_S
    client = redis.asyncio.Redis.from_url(settings.REDIS.url)
    try:
        async with client.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(channel(node_id))
            yield CONNECTED
            while time.monotonic() < ends:
                heard = await subscription.get_message(timeout=ALIVE_S)
                yield MESSAGE if heard else ALIVE
    finally:
        await client.aclose()
