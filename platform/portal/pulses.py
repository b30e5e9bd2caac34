"""Signs of life of workers, and of the SuperLink as workers meet it; kept in Redis, and gone with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

WORKERS, OUTSIDE, SUPERLINK = "workers", "outside", "superlink"
KEPT_S = 24 * 60 * 60
SYNC = "federation.runs.tasks.sync_nodes"


@dataclass(frozen=True)
class Pulse:
    """Something that was heard of: by its name, when last, and what it said."""

    name: str
    at: datetime
    facts: Mapping[str, Any]


def note_worker(*, worker: str, queue: str) -> None:
    """Note that a worker is there.

    Args:
        queue: that it takes tasks from. The one for servers outside may have workers that do nothing else.
    """
    _note(OUTSIDE if queue == OUTSIDE else WORKERS, worker, version=settings.FEDSTUDY_VERSION)


def note_task(*, worker: str, queue: str, task: str, result: Any) -> None:
    """Note that a worker finished a task; where it was one that speaks with the SuperLink, what came of that.

    Args:
        queue: that the task came by.
    """
    note_worker(worker=worker, queue=queue)
    if task == SYNC and isinstance(result, str):
        _note(SUPERLINK, "superlink", code=result)


def heard(kind: str) -> list[Pulse]:
    """What was heard of in the last day, by name.

    Raises:
        RedisError: where Redis does not answer.
    """
    kept = cache.get(_key(kind)) or {}
    return [Pulse(name, datetime.fromtimestamp(item["at"], UTC), item) for name, item in sorted(kept.items())]


def _note(kind: str, name: str, **facts: Any) -> None:
    now = timezone.now().timestamp()
    kept = cache.get(_key(kind)) or {}
    fresh = {known: item for known, item in kept.items() if now - item["at"] < KEPT_S}
    cache.set(_key(kind), {**fresh, name: {"at": now, **facts}}, KEPT_S)


def _key(kind: str) -> str:
    return f"pulses:{kind}"
