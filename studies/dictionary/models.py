"""Data dictionaries of studies, and the datasets that sites offer them."""

from __future__ import annotations

import uuid
from typing import Any

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from audit.triggers import Protect
from fedstudy_core.dictionary import DataDictionary, parse
from studies.dictionary import states


class DictionaryVersion(models.Model):
    """One published version of a study's variables; versions are never changed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("lifecycle.Study", on_delete=models.PROTECT, related_name="dictionary_versions")
    number = models.PositiveIntegerField()
    variables = models.JSONField()
    sha256 = models.CharField(max_length=64)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-number"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="dictionary_version_number"),
            models.CheckConstraint(condition=Q(number__gte=1), name="dictionary_version_counted"),
        ]
        triggers = [Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"Dictionary version {self.number}"

    @property
    def parsed(self) -> DataDictionary:
        return parse({"variables": self.variables})


class DictionaryDraft(models.Model):
    """The study's next dictionary while people write it; none where nobody changed anything since the newest version.

    `variables` fit together at any time (`fedstudy_core.dictionary.parse`); there may be none yet.
    """

    study = models.OneToOneField("lifecycle.Study", on_delete=models.PROTECT, related_name="dictionary_draft")
    variables = models.JSONField(default=list)
    revision = models.PositiveIntegerField(help_text="Rises with each change")
    base = models.PositiveIntegerField(help_text="Number of the newest version when the draft was begun; 0 without one")
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(revision__gte=1), name="dictionary_draft_counted")]

    def __str__(self) -> str:
        return "Draft of the dictionary"


class Dataset(models.Model):
    """What a site offers a study. The rows stay at the node; the portal knows facts and bands only.

    `fingerprint` is the node's SHA-256 over the data; `report` is {checked, passed, findings}.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("lifecycle.Study", on_delete=models.PROTECT, related_name="datasets")
    site = models.ForeignKey("accounts.Site", on_delete=models.PROTECT, related_name="datasets")
    node_id = models.CharField(max_length=36)
    dictionary = models.ForeignKey(DictionaryVersion, on_delete=models.PROTECT, related_name="datasets")
    name = models.CharField(max_length=120)
    fingerprint = models.CharField(max_length=100)
    format = models.CharField(max_length=20)
    rows_band = models.CharField(max_length=40)
    columns = models.JSONField(default=list)
    report = models.JSONField(default=dict)
    state = models.CharField(max_length=12, default=states.DATASET.initial)
    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    checked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-registered_at"]
        default_permissions = ()
        constraints = [
            states.DATASET.check("dictionary_dataset_state"),
            models.UniqueConstraint(
                fields=["study", "node_id", "name"],
                condition=~Q(state="withdrawn"),
                name="dictionary_dataset_one_live",
            ),
        ]
        triggers = [states.DATASET.trigger()]

    def __str__(self) -> str:
        return self.name

    @property
    def findings(self) -> list[dict[str, Any]]:
        return list(self.report.get("findings", []))
