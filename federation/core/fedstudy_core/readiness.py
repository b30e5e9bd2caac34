"""Waiting for descriptors, whatever their number: `select.select` takes none from 1024 on."""

from __future__ import annotations

import select
from collections.abc import Iterable


def readable(descriptors: Iterable[int], seconds: float | None = None) -> list[int]:
    """Those from which something, or an end, can be read now or within so many seconds (None: wait for ever)."""
    return _wait(descriptors, select.POLLIN, seconds)


def writable(descriptor: int, seconds: float | None = None) -> bool:
    """Whether a descriptor takes something, or has lost its other end, now or within so many seconds."""
    return bool(_wait([descriptor], select.POLLOUT, seconds))


def _wait(descriptors: Iterable[int], event: int, seconds: float | None) -> list[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, event)
    return [descriptor for descriptor, _ in poll.poll(None if seconds is None else max(seconds, 0) * 1000)]
