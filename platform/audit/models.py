"""The audit log: what happened, when, by whom, to what. Rows are added and never changed."""

from __future__ import annotations

import uuid

import pgtrigger
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils import timezone

# The words by which an entry is found: of who did what to what, and of its details; in no language's forms.
WORDS = SearchVector("actor_label", "action", "object_label", "detail", config="simple")
AREA = Func(F("action"), Value(":"), Value(1), function="split_part", output_field=models.CharField())
ACTION_PATTERN = r"^[a-z_]+:[a-z_]+:[a-z_]+$"


class Event(models.Model):
    """One thing that happened. It stores names and ids as text, so that it outlives what it speaks of."""

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=100, help_text="user:<id>, node:<id> or system:<part>")
    actor_label = models.CharField(max_length=200)
    action = models.CharField(max_length=100, help_text="area:subject:action")
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=200, blank=True)
    study = models.CharField(max_length=36, blank=True)
    site = models.CharField(max_length=36, blank=True)
    outcome = models.CharField(max_length=10, default="done")
    detail = models.TextField(default="{}", help_text="Canonical JSON")

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(action__regex=ACTION_PATTERN), name="audit_event_action"),
            models.CheckConstraint(condition=Q(outcome__in=["done", "refused", "failed"]), name="audit_event_outcome"),
            models.CheckConstraint(condition=~Q(actor=""), name="audit_event_actor"),
        ]
        indexes = [
            models.Index(fields=["study", "-id"], name="audit_event_study"),
            models.Index(fields=["site", "-id"], name="audit_event_site"),
            models.Index(fields=["object_id", "-id"], name="audit_event_object"),
            models.Index(fields=["actor", "-id"], name="audit_event_by"),
            models.Index(fields=["action", "-id"], name="audit_event_kind"),
            models.Index(AREA, "outcome", F("id").desc(), name="audit_event_area"),
            models.Index(F("outcome"), F("id").desc(), condition=~Q(outcome="done"), name="audit_event_not_done"),
            models.Index(fields=["at"], name="audit_event_at"),
            GinIndex(WORDS, name="audit_event_words"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} by {self.actor_label}"
