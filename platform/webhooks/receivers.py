"""News from below: every entry of the log, in its transaction."""

from __future__ import annotations

from typing import Any

from audit.models import Event
from audit.signals import recorded
from webhooks import outbox
from webhooks.kinds import KINDS


def connect() -> None:
    recorded.connect(_tell, dispatch_uid="webhooks.recorded")


def _tell(*, event: Event, **_: Any) -> None:
    kind = KINDS.get(event.action)
    if kind is not None and event.study and event.outcome != "refused":
        outbox.tell(event, kind)
