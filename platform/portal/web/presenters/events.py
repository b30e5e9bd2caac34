"""Log entries in words."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from audit.models import Event

SENTENCES: dict[str, str] = {}


@dataclass(frozen=True)
class EventRow:
    """An entry of the log."""

    number: int
    at: dt.datetime
    actor: str
    action: str
    sentence: str
    object: str
    outcome: str
    detail: tuple[tuple[str, str], ...]


def event_rows(events: Iterable[Event]) -> list[EventRow]:
    """The entries as rows of the log."""
    return [
        EventRow(
            number=event.pk,
            at=event.at,
            actor=event.actor_label,
            action=event.action,
            sentence=sentence_of(event.action),
            object=event.object_label or event.object_type,
            outcome=event.outcome,
            detail=details_of(json.loads(event.detail)),
        )
        for event in events
    ]


def sentence_of(action: str) -> str:
    """What happened, in words; unknown actions are read from their name."""
    _, subject, verb = action.split(":")
    return SENTENCES.get(action) or f"{subject} {verb}".replace("_", " ").capitalize()


def details_of(detail: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The further facts of an entry, shortened to what fits a line."""
    return tuple(
        (name.replace("_", " "), _short(value)) for name, value in detail.items() if value not in ("", None, [])
    )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
