"""Celery's part: what is due for scripts and approvals. PostgreSQL says what that is; each task may be repeated."""

from __future__ import annotations

from celery import shared_task

AT_ONCE = 20


@shared_task
def announce_expiring() -> None:
    """Tell of approvals that end within two weeks; who was told before is not told again."""
    from django.utils import timezone

    from studies.scripts.models import Approval
    from studies.scripts.selectors import expiring_approvals
    from studies.scripts.signals import approval_expiring

    for approval in expiring_approvals(timezone.now()).iterator(chunk_size=100):
        approval_expiring.send(sender=Approval, approval=approval)


@shared_task
def refresh_findings() -> None:
    """Analyse versions again whose findings come from older rules, a few at a time."""
    from studies.scripts import selectors, services

    for version in selectors.outdated_findings()[:AT_ONCE]:
        services.refresh_findings(version=version)
