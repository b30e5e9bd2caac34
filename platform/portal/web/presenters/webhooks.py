"""Webhooks and their messages in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from webhooks.kinds import TEST, WORDS
from webhooks.models import Delivery, Webhook


@dataclass(frozen=True)
class WebhookRow:
    """A webhook. `old_until`: until when the secret before is good too."""

    id: UUID
    url: str
    host: str
    state: str
    reason: str
    kinds: tuple[str, ...]
    old_until: dt.datetime | None
    by: str
    since: dt.datetime


@dataclass(frozen=True)
class DeliveryRow:
    """A message, and what became of it."""

    id: UUID
    words: str
    message: str
    state: str
    outcome: str
    body: str
    created_at: dt.datetime
    next_at: dt.datetime | None
    can_repeat: bool


def webhook_row(webhook: Webhook) -> WebhookRow:
    """A webhook as pages show it."""
    old = webhook.old_until
    return WebhookRow(
        id=webhook.pk,
        url=webhook.url,
        host=webhook.host,
        state=webhook.state,
        reason=webhook.disabled_reason,
        kinds=tuple(WORDS.get(name, name) for name in webhook.kinds),
        old_until=old if old is not None and old > timezone.now() else None,
        by=webhook.created_by.name,
        since=webhook.created_at,
    )


def delivery_row(delivery: Delivery) -> DeliveryRow:
    """A message as the log shows it."""
    tries = f"{delivery.tries} {'try' if delivery.tries == 1 else 'tries'}"
    told = delivery.problem or (f"Answered {delivery.status} in {delivery.duration_ms} ms." if delivery.status else "")
    return DeliveryRow(
        id=delivery.pk,
        words="A test message" if delivery.kind == TEST else WORDS.get(delivery.kind, delivery.kind),
        message=delivery.message,
        state=delivery.state,
        outcome=f"{told} {tries}." if delivery.tries else told,
        body=delivery.body,
        created_at=delivery.created_at,
        next_at=delivery.next_at if delivery.state == "waiting" else None,
        can_repeat=delivery.state != "waiting" and delivery.webhook.state == "active",
    )
