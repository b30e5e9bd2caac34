"""Celery's part: e-mail. PostgreSQL says what was not sent yet; a task is only a wake-up call."""

from __future__ import annotations

from celery import shared_task

AT_ONCE = 200


@shared_task(autoretry_for=(OSError,), retry_backoff=10, retry_backoff_max=600, max_retries=5)
def send_email(notification_id: str) -> None:
    """Send the e-mail of one notification."""
    from notifications import services

    services.email(notification_id=notification_id)


@shared_task
def send_waiting() -> None:
    """Send what a lost message or a mail server that was down left behind."""
    from django.utils import timezone

    from notifications import selectors

    for notification_id in selectors.unsent(timezone.now()).values_list("pk", flat=True)[:AT_ONCE]:
        send_email.delay(str(notification_id))
