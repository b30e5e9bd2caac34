"""Waiting until the log has what was just written: a second or two, while its sequencer is at work.

Nobody sleeps here. Who waits asks again and again, and says meanwhile that there is nothing yet; whoever sends the
answer lets its thread go in between (`portal.downloads`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from audit.models import Checkpoint, Event, Leaf, Queued
from fedstudy_core.errors import Conflict

PATIENCE_S = 10.0
NOTHING_YET = b""


def check_at_work() -> None:
    """Raises Conflict E_LOG_BEHIND when an event has waited for its place for longer than anybody would wait."""
    first = Queued.objects.order_by("event").values("event")[:1]
    if Event.objects.filter(pk__in=first, at__lt=timezone.now() - timedelta(seconds=PATIENCE_S)).exists():
        raise Conflict("E_LOG_BEHIND")


def until_signed(event: Event) -> Iterator[bytes]:
    """`NOTHING_YET`, again and again, until the log has signed an event; outside of the transaction that wrote it.

    Raises:
        Conflict: E_LOG_BEHIND, nothing was signed for long.
    """
    until = time.monotonic() + PATIENCE_S
    while not _is_signed(event):
        if time.monotonic() > until:
            raise Conflict("E_LOG_BEHIND")
        yield NOTHING_YET


def _is_signed(event: Event) -> bool:
    place = Leaf.objects.filter(event=event.pk).values_list("position", flat=True).first()
    return place is not None and Checkpoint.objects.filter(size__gt=place).exists()
