"""Waking nodes: each holds one connection open, on which the portal says at once that something waits for it.

That is a message at the SuperLink, or news that the portal has: another level of the node's site, rows for a pool node.

It is a hint and nothing else: what is lost costs a node the seconds until it asks by itself. So it goes through Redis,
unsigned and unstored, and who listens learns nothing but when.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any
from uuid import UUID

import redis
import redis.asyncio
import structlog
from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError

from nodes.registry.models import Node
from studies.enrolment.models import Enrolment

log = structlog.get_logger(__name__)

LIFE_S = 600.0
ALIVE_S = 15.0
CONNECTED, ALIVE = b": connected\n\n", b": alive\n\n"
MESSAGE, NEWS = b"event: message\ndata:\n\n", b"event: news\ndata:\n\n"
_EVENTS = {b"message": MESSAGE, b"news": NEWS}


def channel(node_id: UUID | str) -> str:
    """The Redis channel of a node."""
    return f"fedstudy:wake:{node_id}"


def wake(sender: Any, node_ids: Iterable[UUID], **_: Any) -> None:
    """Say that messages wait for these nodes (receiver of `federation.runs.signals.messages_sent`)."""
    _publish(node_ids, "message")


def tell_level(sender: Any, enrolment: Enrolment, **_: Any) -> None:
    """Say to a site's nodes that its level changed (receiver of `studies.enrolment.signals.level_changed`)."""
    _tell_news(lambda: Node.objects.filter(site=enrolment.site_id, state="active").values_list("pk", flat=True))


def tell_pool(sender: Any, node_ids: Iterable[str], **_: Any) -> None:
    """Say to pool nodes that they have something to look at (receiver of `studies.pooling.signals.pool_has_news`)."""
    _tell_news(lambda: node_ids)


def _tell_news(nodes: Callable[[], Iterable[UUID | str]]) -> None:
    transaction.on_commit(lambda: _publish(nodes(), "news"), robust=True)


def _publish(node_ids: Iterable[UUID | str], event: str) -> None:
    try:
        with _client().pipeline(transaction=False) as pipeline:
            for node_id in node_ids:
                pipeline.publish(channel(node_id), event)
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
                yield _EVENTS.get(heard["data"], MESSAGE) if heard else ALIVE
    finally:
        await client.aclose()
