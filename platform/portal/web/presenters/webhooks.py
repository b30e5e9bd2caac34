"""Webhooks and their messages in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

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


def kind_words(kind: str) -> str:
    """When a webhook is told; an unknown kind by its own name."""
    return _(WORDS[kind]) if kind in WORDS else kind


def webhook_row(webhook: Webhook) -> WebhookRow:
    """A webhook as pages show it."""
    old = webhook.old_until
    return WebhookRow(
        id=webhook.pk,
        url=webhook.url,
        host=webhook.host,
        state=webhook.state,
        reason=webhook.disabled_reason,
        kinds=tuple(kind_words(name) for name in webhook.kinds),
        old_until=old if old is not None and old > timezone.now() else None,
        by=webhook.created_by.name,
        since=webhook.created_at,
    )


def delivery_row(delivery: Delivery) -> DeliveryRow:
    """A message as the log shows it."""
    tries = ngettext("{number} try.", "{number} tries.", delivery.tries).format(number=delivery.tries)
    told = delivery.problem
    if not told and delivery.status:
        told = _("Answered {status} in {time} ms.").format(status=delivery.status, time=delivery.duration_ms)
    return DeliveryRow(
        id=delivery.pk,
        words=_("A test message") if delivery.kind == TEST else kind_words(delivery.kind),
        message=delivery.message,
        state=delivery.state,
        outcome=f"{told} {tries}" if delivery.tries else told,
        body=delivery.body,
        created_at=delivery.created_at,
        next_at=delivery.next_at if delivery.state == "waiting" else None,
        can_repeat=delivery.state != "waiting" and delivery.webhook.state == "active",
    )
