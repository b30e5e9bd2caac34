"""Waiting until the log has what was just written: a second or two, while its sequencer is at work."""

from __future__ import annotations

import time

from audit.models import Checkpoint, Event, Leaf
from fedstudy_core.errors import Conflict

PATIENCE_S, LOOK_S = 10.0, 0.1


def wait_for_checkpoint(event: Event) -> None:
    """Wait until the log has signed an event; outside of the transaction that wrote it.

    Raises:
        Conflict: E_LOG_BEHIND, nothing was signed for long.
    """
    until = time.monotonic() + PATIENCE_S
    while not _is_signed(event):
        if time.monotonic() > until:
            raise Conflict("E_LOG_BEHIND")
        _pause()


def _pause() -> None:
    time.sleep(LOOK_S)


def _is_signed(event: Event) -> bool:
    place = Leaf.objects.filter(event=event.pk).values_list("position", flat=True).first()
    return place is not None and Checkpoint.objects.filter(size__gt=place).exists()
