"""Saying what changed: after a commit its kind and id go through Redis to whoever has it on a page.

It is a hint and nothing else, without a word of what the change was: who hears of it asks for the page's part as
always, and is shown what they may see. What is lost costs a page the time until it asks by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError

from audit.models import Event
from audit.signals import recorded
from federation.runs.signals import run_changed
from nodes.registry.signals import node_seen
from notifications.signals import news_changed

log = structlog.get_logger(__name__)

CHANNEL = "fedstudy:changes"
KEPT_S = 60 * 60
TIMEOUT_S = 0.5
REST_S = 5.0


def connect() -> None:
    """Listen; called once when the API is loaded, in every process."""
    recorded.connect(_recorded, dispatch_uid="portal.changes.recorded")
    run_changed.connect(_run_changed, dispatch_uid="portal.changes.run")
    node_seen.connect(_node_seen, dispatch_uid="portal.changes.node")
    news_changed.connect(_news_changed, dispatch_uid="portal.changes.news")


def _recorded(*, event: Event, **_: Any) -> None:
    about = {"study": event.study, "site": event.site}
    if event.object_type in ("run", "study", "site"):
        about[event.object_type] = event.object_id
    announce(f"{kind}:{id_}" for kind, id_ in about.items() if id_)


def _run_changed(*, run_id: UUID, **_: Any) -> None:
    announce([f"run:{run_id}"])


def _node_seen(*, site_id: UUID, **_: Any) -> None:
    announce([f"site:{site_id}"])


def _news_changed(*, people: Iterable[UUID], **_: Any) -> None:
    announce(f"person:{person}" for person in people)


def announce(about: Iterable[str]) -> None:
    """Say after the commit that these changed ("run:<id>"); without Redis nobody hears it, and nothing fails."""
    words = " ".join(about)
    if words:
        transaction.on_commit(partial(_publish, words), robust=True)


def stamp(word: str) -> str:
    """Redis's key for the moment at which something changed last, in milliseconds; it is kept for an hour."""
    return f"fedstudy:changed:{word}"


def now_ms() -> int:
    """The present moment in milliseconds."""
    return time.time_ns() // 1_000_000


_shared: redis.Redis | None = None
_rests_until = 0.0


def _client() -> redis.Redis:
    global _shared  # noqa: PLW0603 - one pool of connections a process
    if _shared is None:
        _shared = redis.Redis.from_url(settings.REDIS.url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    return _shared


def _publish(words: str) -> None:
    """A Redis that does not answer is left alone for some seconds: nobody's work is to wait for it each time."""
    global _rests_until  # noqa: PLW0603
    if time.monotonic() < _rests_until:
        return
    try:
        with _client().pipeline(transaction=False) as pipeline:
            for word in words.split():
                pipeline.set(stamp(word), now_ms(), ex=KEPT_S)
            pipeline.publish(CHANNEL, words)
            pipeline.execute()
    except RedisError as error:
        _rests_until = time.monotonic() + REST_S
        log.warning("changes_not_told", error=type(error).__name__)
