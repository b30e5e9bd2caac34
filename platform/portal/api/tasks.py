"""Celery's part: forgetting answers that are a day old."""

from __future__ import annotations

from celery import shared_task


@shared_task
def forget_answers() -> None:
    """Delete stored answers that nobody may ask for again."""
    from django.utils import timezone

    from portal.api.models import StoredAnswer

    StoredAnswer.objects.filter(created_at__lte=timezone.now() - StoredAnswer.LIFE).delete()
