"""A site in a study."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from studies.enrolment import states

PEOPLE = settings.AUTH_USER_MODEL


class Enrolment(models.Model):
    """A site's part in a study. It is ready once accepted, with a valid dataset at one of its active nodes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("lifecycle.Study", on_delete=models.PROTECT, related_name="enrolments")
    site = models.ForeignKey("accounts.Site", on_delete=models.PROTECT, related_name="enrolments")
    state = models.CharField(max_length=12, default=states.ENROLMENT.initial)
    level = models.CharField(max_length=2, choices=list(states.LEVELS.items()), default=states.DEFAULT_LEVEL)
    dataset = models.ForeignKey(
        "dictionary.Dataset", on_delete=models.PROTECT, null=True, blank=True, related_name="enrolments"
    )
    invited_at = models.DateTimeField(default=timezone.now)
    invited_by = models.ForeignKey(PEOPLE, on_delete=models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.ForeignKey(PEOPLE, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    ready_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.ForeignKey(PEOPLE, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.TextField(blank=True, help_text="Why the site declined or withdrew, in its own words")

    class Meta:
        ordering = ["site__name"]
        default_permissions = ()
        constraints = [
            states.ENROLMENT.check("enrolment_state"),
            models.UniqueConstraint(fields=["study", "site"], name="enrolment_once"),
            models.CheckConstraint(condition=Q(level__in=list(states.LEVELS)), name="enrolment_level"),
            models.CheckConstraint(
                condition=Q(answered_at__isnull=True, answered_by__isnull=True)
                | Q(answered_at__isnull=False, answered_by__isnull=False),
                name="enrolment_answered_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True, withdrawn_by__isnull=True)
                | Q(withdrawn_at__isnull=False, withdrawn_by__isnull=False),
                name="enrolment_withdrawn_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(state="ready") | Q(dataset__isnull=False, ready_at__isnull=False),
                name="enrolment_ready_with_dataset",
            ),
        ]
        triggers = [states.ENROLMENT.trigger()]

    def __str__(self) -> str:
        return f"{self.site} in {self.study}"


class LevelChange(models.Model):
    """The level at which a site takes part from a moment on: chosen when it accepted, or changed later.

    `by` is empty where nobody chose: the consent ended under which the site's rows were pooled.
    """

    enrolment = models.ForeignKey(Enrolment, on_delete=models.CASCADE, related_name="level_changes")
    level = models.CharField(max_length=2, choices=list(states.LEVELS.items()))
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(PEOPLE, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["at", "pk"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(level__in=list(states.LEVELS)), name="enrolment_levelchange_level"),
        ]

    def __str__(self) -> str:
        return f"{self.enrolment}: {self.level}"
