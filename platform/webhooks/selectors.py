"""Read access to webhooks: for those who may change them."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from accounts.models import User
from accounts.permissions import Permission
from studies.lifecycle.selectors import studies_with
from webhooks.models import Delivery, Webhook


def visible_to(user: User) -> QuerySet[Webhook]:
    """The webhooks of the studies whose webhooks the person manages."""
    studies = studies_with(user, Permission.WEBHOOKS_MANAGE)
    return Webhook.objects.filter(study__in=studies).select_related("study", "created_by")


def deliveries_visible_to(user: User) -> QuerySet[Delivery]:
    """What was sent to these webhooks."""
    return Delivery.objects.filter(webhook__in=visible_to(user)).select_related("webhook__study")


def due(at: datetime) -> QuerySet[Delivery]:
    """What is to be sent now."""
    return Delivery.objects.filter(state="waiting", next_at__lte=at, webhook__state="active").order_by("next_at")
