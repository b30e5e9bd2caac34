"""Messages: written in the transaction of what they tell of, sent once that is committed, and tried again for a day."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from cryptography.exceptions import InvalidTag
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from accounts.groups import holders
from accounts.roles import Role
from audit.models import Event
from audit.services import record
from notifications.services import notify
from webhooks import secrets, states
from webhooks.kinds import TEST, Kind, told_details
from webhooks.models import Delivery, Webhook
from webhooks.sending import NotSent, send

# Seconds until the next try: some twenty hours in all, each a fifth longer or shorter by chance.
PAUSES = (10, 40, 160, 640, 2_560, 10_240, 28_800, 28_800)
SPREAD = 0.2
# A try that nobody ended (its worker is gone) is made again after this.
CLAIM = timedelta(minutes=2)
GONE = 410
# Whoever switches one of them off waits until what tells it is committed; those who tell do not wait for each other.
WANTING = """
SELECT id FROM webhooks_webhook WHERE study_id = %s AND state = 'active' AND kinds @> ARRAY[%s]::varchar[]
ORDER BY id FOR SHARE
"""
ENGINE = "system:webhooks"


def tell(event: Event, kind: Kind) -> None:
    """Write a message for every active webhook of the event's study that wants this kind of news."""
    found = [webhook.pk for webhook in Webhook.objects.raw(WANTING, [event.study, kind.name])]
    if not found:
        return
    data: dict[str, Any] = {"event": str(event.event_id), "study": event.study, event.object_type: event.object_id}
    data |= {"site": event.site} if event.site else {}
    data |= {"state": kind.state} if kind.state else {}
    body = written(kind.name, {**data, **told_details(json.loads(event.detail))}, event.at)
    for pk in found:
        post(Delivery.objects.create(webhook_id=pk, kind=kind.name, body=body))


def written(kind: str, data: dict[str, Any], at: datetime) -> str:
    """The body of a message: its type, when it happened, and ids and states."""
    moment = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": moment, "data": data}, separators=(",", ":"))


def test_message(webhook: Webhook) -> Delivery:
    """A message that says nothing, to see whether it arrives."""
    body = written(TEST, {"webhook": str(webhook.pk), "study": str(webhook.study_id)}, timezone.now())
    return post(Delivery.objects.create(webhook=webhook, kind=TEST, body=body))


def post(delivery: Delivery) -> Delivery:
    """Have a message sent once this transaction is committed."""
    transaction.on_commit(partial(_wake, str(delivery.pk)), robust=True)
    return delivery


def _wake(delivery_id: str) -> None:
    from webhooks.tasks import deliver

    deliver.delay(delivery_id)


def try_delivery(delivery_id: str) -> bool:
    """Send a message if it is due and nobody else is sending it; returns whether it was tried."""
    now, told = timezone.now(), Webhook.objects.filter(state="active")
    due = Delivery.objects.filter(pk=delivery_id, state="waiting", next_at__lte=now, webhook__in=told)
    if due.update(next_at=now + CLAIM) != 1:
        return False
    delivery = Delivery.objects.select_related("webhook__study").get(pk=delivery_id)
    started, status, problem = time.monotonic(), None, ""
    try:
        status = send(delivery.webhook.url, delivery.body.encode(), _headers(delivery))
    except NotSent as error:
        problem = str(error)
    except InvalidTag:
        problem = "The portal's secret has changed: give the webhook a new one."
    _settle(delivery, status, problem, round((time.monotonic() - started) * 1000))
    return True


def _headers(delivery: Delivery) -> dict[str, str]:
    webhook, now = delivery.webhook, timezone.now()
    kept = [bytes(webhook.secret)]
    if webhook.old_secret and webhook.old_until is not None and webhook.old_until > now:
        kept.append(bytes(webhook.old_secret))
    good = [secrets.opened(item, str(webhook.pk)) for item in kept]
    message_id, timestamp = delivery.message, int(now.timestamp())
    return {
        "Content-Type": "application/json",
        "User-Agent": "FedStudy-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": secrets.signature(good, message_id=message_id, timestamp=timestamp, body=delivery.body),
    }


@transaction.atomic
def _settle(delivery: Delivery, status: int | None, problem: str, duration_ms: int) -> None:
    """Note what became of a try; after the last one the webhook is disabled."""
    webhook = Webhook.objects.select_for_update(of=("self",)).select_related("study").get(pk=delivery.webhook_id)
    row = Delivery.objects.select_for_update(of=("self",)).get(pk=delivery.pk)
    if row.state != "waiting":
        return
    row.tries, row.tried_at, row.duration_ms, row.status = row.tries + 1, timezone.now(), duration_ms, status
    if status is not None and 200 <= status < 300:
        row.problem = ""
        states.DELIVERY.move(row, "delivered")
        row.save()
        return
    row.problem = problem or f"It answered {status}."
    is_last = status == GONE or row.tries > len(PAUSES)
    if is_last or row.kind == TEST:
        states.DELIVERY.move(row, "failed")
    else:
        spread = 1 + random.uniform(-SPREAD, SPREAD)  # noqa: S311  (spreads load, hides nothing)
        row.next_at = timezone.now() + timedelta(seconds=PAUSES[row.tries - 1] * spread)
    row.save()
    if is_last and row.kind != TEST and webhook.state == "active":
        _disable_and_tell(webhook, GONE_WORDS if status == GONE else FAILED_WORDS, row.tries)


# Why a webhook is switched off, as the log and its page say it, and as its study's investigators are told.
GONE_WORDS = (
    "It says that it is gone.",
    gettext_noop("A webhook of “{study}” is switched off: it says that it is gone."),
)
FAILED_WORDS = (
    "{tries} tries in a day came to nothing.",
    gettext_noop("A webhook of “{study}” is switched off: {tries} tries in a day came to nothing."),
)


def _disable_and_tell(webhook: Webhook, words: tuple[str, str], tries: int) -> None:
    reason, subject = words[0].format(tries=tries), words[1]
    close(webhook, reason)
    detail = {"host": webhook.host, "reason": reason}
    record(action="webhooks:webhook:disabled", actor=ENGINE, obj=webhook, study=webhook.study_id, detail=detail)
    notify(
        people=holders(Role.PI, webhook.study),
        kind="webhook",
        subject=subject,
        facts={"study": webhook.study.title, "tries": str(tries)},
        link=f"/webhooks/{webhook.pk}",
        key=f"webhook:{webhook.pk}:{timezone.now():%Y-%m-%dT%H:%M}",
    )


def close(webhook: Webhook, reason: str) -> None:
    """Switch a webhook off; what waited is not sent. The caller holds its lock and writes the log."""
    states.WEBHOOK.move(webhook, "disabled")
    webhook.disabled_reason = reason
    webhook.save(update_fields=["state", "disabled_reason"])
    waiting = Delivery.objects.filter(webhook=webhook, state="waiting")
    waiting.update(state="failed", problem="The webhook was switched off.")
