"""Read access to notifications: everybody sees their own."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet

from accounts.models import User
from notifications.models import Notification, Preference

GIVEN_UP = timedelta(days=1)


def visible_to(user: User) -> QuerySet[Notification]:
    """The person's notifications, the newest first."""
    return Notification.objects.filter(person=user.pk, on_page=True).order_by("-created_at", "-pk")


def unread_count(user: User) -> int:
    """How many of them the person has not read."""
    return Notification.objects.filter(person=user.pk, read_at=None, on_page=True).count()


def wants_email(user: User) -> bool:
    """Whether the person wants e-mail."""
    return Preference.objects.filter(person=user.pk).values_list("by_email", flat=True).first() is not False


def preference_of(user: User) -> Preference:
    """What the person wants to be told; all of it for who never said anything."""
    return Preference.objects.filter(person=user.pk).first() or Preference(person=user)


def unsent(at: datetime) -> QuerySet[Notification]:
    """Notifications of the last day for which no e-mail went out, though their people want it."""
    rows = Notification.objects.filter(
        emailed_at=None, by_email=True, created_at__gt=at - GIVEN_UP, person__is_active=True
    )
    return rows.exclude(person__notification_preference__by_email=False).order_by("created_at")
