"""What a principal investigator says of a run's model, and the requests that a model may leave the platform."""

from __future__ import annotations

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from audit.triggers import Protect
from federation.releases import states


class CardWords(models.Model):
    """What people add to the model card of a run; all else of the card the portal knows."""

    run = models.OneToOneField("runs.Run", on_delete=models.PROTECT, related_name="card_words")
    intended_use = models.TextField(blank=True)
    caveats = models.TextField(blank=True)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Model card of {self.run}"


class Release(models.Model):
    """A request that a run's model may leave the platform, and what the sites' data stewards said to it.

    `card` is the model card as it was asked with, `card_sha256` that of its text in one agreed form.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey("runs.Run", on_delete=models.PROTECT, related_name="releases")
    model = models.ForeignKey("runs.Model", on_delete=models.PROTECT, related_name="releases")
    state = models.CharField(max_length=12, default=states.RELEASE.initial)
    recipient = models.CharField(max_length=200, help_text="Who gets the model")
    purpose = models.TextField(help_text="What for")
    card = models.JSONField()
    card_sha256 = models.CharField(max_length=64)
    signatures_needed = models.PositiveSmallIntegerField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(default=timezone.now)
    decided_at = models.DateTimeField(null=True, blank=True)
    refused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    refusing_site = models.ForeignKey(
        "accounts.Site", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was refused")

    class Meta:
        ordering = ["-requested_at"]
        default_permissions = ()
        constraints = [
            states.RELEASE.check("releases_release_state"),
            models.CheckConstraint(condition=Q(signatures_needed__gte=1), name="releases_release_signed"),
            models.CheckConstraint(
                condition=Q(state="requested") ^ Q(decided_at__isnull=False), name="releases_release_decided"
            ),
            models.CheckConstraint(
                condition=(Q(state="refused") & ~Q(reason="") & Q(refused_by__isnull=False))
                | (~Q(state="refused") & Q(reason="", refused_by__isnull=True)),
                name="releases_release_refused_with_reason",
            ),
            models.UniqueConstraint(
                fields=["model"], condition=Q(state__in=states.STANDING), name="releases_release_one_standing"
            ),
        ]
        triggers = [states.RELEASE.trigger()]

    def __str__(self) -> str:
        return f"Release of {self.model} to {self.recipient}"


class CoSignature(models.Model):
    """A site's consent to a release, given by a data steward; never changed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="signatures")
    site = models.ForeignKey("accounts.Site", on_delete=models.PROTECT, related_name="+")
    signed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    signed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["signed_at"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["release", "site"], name="releases_signature_one_a_site"),
            models.UniqueConstraint(fields=["release", "signed_by"], name="releases_signature_one_a_person"),
        ]
        triggers = [Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.site}: {self.signed_by}"
