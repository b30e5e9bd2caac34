"""Comparisons of degrees of federation: one plan, and the runs that train it in different ways."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from federation.degrees.kinds import KINDS, OF_ONE_SITE, OF_POOLED_ROWS


class DegreeComparison(models.Model):
    """One script version under one plan, trained at several degrees of federation and tested on the same rows.

    `plan` is what all its runs share: strategy and its parameters, the script's configuration but for the seed, rounds.
    Each way of training is run once for each of `seeds`; these are none where the script takes none. `personalised`
    names the strategies by which all sites train besides, each keeping a part of the model.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("lifecycle.Study", on_delete=models.PROTECT, related_name="degree_comparisons")
    version = models.ForeignKey("scripts.ScriptVersion", on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=80)
    kinds = models.JSONField(help_text="What is wanted, of `federation.degrees.kinds`")
    plan = models.JSONField()
    seeds = models.JSONField(default=list)
    personalised = models.JSONField(default=list)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.label


class DegreeEntry(models.Model):
    """A run of a comparison, and in which way it trains.

    `enrolment` is the site that trains alone, or that is left out; `table` the pooled rows that are trained on.
    """

    comparison = models.ForeignKey(DegreeComparison, on_delete=models.CASCADE, related_name="entries")
    kind = models.CharField(max_length=12, choices=[(kind, kind) for kind in KINDS])
    enrolment = models.ForeignKey(
        "enrolment.Enrolment", on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    table = models.ForeignKey("pooling.PooledTable", on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    seed = models.BigIntegerField(null=True, blank=True)
    run = models.ForeignKey("runs.Run", on_delete=models.PROTECT, related_name="degree_entries")
    position = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["comparison", "run"], name="degrees_entry_run_once"),
            models.UniqueConstraint(fields=["comparison", "position"], name="degrees_entry_position"),
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="degrees_entry_kind"),
            models.CheckConstraint(
                condition=Q(kind__in=OF_ONE_SITE) ^ Q(enrolment__isnull=True), name="degrees_entry_of_one_site"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=OF_POOLED_ROWS) ^ Q(table__isnull=True), name="degrees_entry_of_pooled_rows"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.comparison}"
