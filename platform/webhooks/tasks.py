"""Celery's part: sending. PostgreSQL says what is due; a task is only a wake-up call."""

from __future__ import annotations

from celery import shared_task

AT_ONCE = 200
# What nobody took by then is due again: `send_due` asks for it every 30 seconds.
EXPIRES_S = 30


@shared_task(expires=EXPIRES_S)
def deliver(delivery_id: str) -> None:
    """Try to send one message."""
    from webhooks import outbox

    outbox.try_delivery(delivery_id)


@shared_task
def send_due() -> None:
    """Send what is due again, and what a lost message left behind; forget what was sent a month ago."""
    from django.utils import timezone

    from webhooks import selectors
    from webhooks.models import Delivery

    now = timezone.now()
    for delivery_id in selectors.due(now).values_list("pk", flat=True)[:AT_ONCE]:
        deliver.delay(str(delivery_id))
    Delivery.objects.filter(created_at__lte=now - Delivery.LIFE).exclude(state="waiting").delete()
