"""What people are told, in the page and by e-mail, and whether they want e-mail."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

KINDS = (
    "invitation",
    "version",
    "amendment",
    "question",
    "answer",
    "expiring",
    "approved",
    "rejected",
    "revoked",
    "factors",
    "arrival",
    "moved",
    "access",
    "decided",
    "release",
    "webhook",
    "log",
    "level",
    "enrolment",
    "run",
)

# What stands on the page in any case: somebody else changed what one may, or how one gets in.
ALWAYS = ("factors", "moved")


class Notification(models.Model):
    """One thing that one person is told. `key` names the cause, so that nobody is told twice."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    kind = models.CharField(max_length=12)
    subject = models.CharField(max_length=300, help_text="What it says, in English, as programs read it")
    words = models.CharField(
        max_length=300, default="", help_text="The sentence with its places, which pages translate"
    )
    facts = models.JSONField(default=dict, help_text="What stands in the places, by name")
    link = models.CharField(max_length=300, help_text="A path of this portal")
    key = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    read_at = models.DateTimeField(null=True, blank=True)
    emailed_at = models.DateTimeField(null=True, blank=True)
    on_page = models.BooleanField(default=True, help_text="Whether its person wants this kind on the page")
    by_email = models.BooleanField(default=True, help_text="Whether its person wants this kind by e-mail")

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["person", "key"], name="notifications_notification_once"),
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="notifications_notification_kind"),
            models.CheckConstraint(
                condition=Q(on_page=True) | Q(by_email=True), name="notifications_notification_told"
            ),
            models.CheckConstraint(
                condition=Q(link__startswith="/") & ~Q(link__startswith="//"), name="notifications_notification_inside"
            ),
        ]
        indexes = [
            models.Index(fields=["person", "-created_at"], name="notifications_of_person"),
            models.Index(fields=["person"], condition=Q(read_at=None), name="notifications_unread"),
            models.Index(fields=["created_at"], condition=Q(emailed_at=None), name="notifications_unsent"),
        ]

    def __str__(self) -> str:
        return self.subject


class Preference(models.Model):
    """What a person wants to be told, and how; who never said anything is told everything, by e-mail too."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="notification_preference"
    )
    by_email = models.BooleanField(default=True)
    not_on_page = ArrayField(models.CharField(max_length=12), default=list, blank=True)
    not_by_email = ArrayField(models.CharField(max_length=12), default=list, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=~Q(not_on_page__overlap=list(ALWAYS)), name="notifications_preference_page"
            )
        ]

    def __str__(self) -> str:
        return f"{self.person}: {'e-mail' if self.by_email else 'no e-mail'}"
