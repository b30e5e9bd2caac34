"""Celery's part: what is due for pooled rows. PostgreSQL says what that is; each task may be repeated."""

from __future__ import annotations

from celery import shared_task


@shared_task
def expire_consents() -> None:
    """End the consents whose time is over."""
    from django.utils import timezone

    from studies.pooling import consents

    consents.expire_consents(timezone.now())
