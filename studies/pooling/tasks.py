"""Celery's part: what is due for pooled rows. PostgreSQL says what that is; each task may be repeated."""

from __future__ import annotations

from celery import shared_task


@shared_task
def expire_consents() -> None:
    """End the consents whose time is over, and remove the rows whose retention is."""
    from django.utils import timezone

    from studies.pooling import consents, removal

    now = timezone.now()
    consents.expire_consents(now)
    removal.end_retention(now)
    removal.sweep()
