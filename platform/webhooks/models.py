"""Addresses that a study's news goes to, and what was sent there."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from studies.lifecycle.models import Study
from webhooks import states


class Webhook(models.Model):
    """An address outside that is told of a study's news. Secrets are kept sealed (`webhooks.secrets`)."""

    MOST: ClassVar = 10
    OVERLAP: ClassVar = timedelta(hours=24)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    kinds = ArrayField(models.CharField(max_length=30), help_text="Which news")
    state = models.CharField(max_length=10, default=states.WEBHOOK.initial)
    secret = models.BinaryField()
    old_secret = models.BinaryField(default=b"", help_text="Good until old_until, beside the new one")
    old_until = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "id"]
        default_permissions = ()
        constraints = [
            states.WEBHOOK.check("webhooks_webhook_state"),
            models.CheckConstraint(
                condition=Q(url__startswith="https://") | Q(url__startswith="http://"), name="webhooks_webhook_url"
            ),
            models.CheckConstraint(condition=~Q(secret=b""), name="webhooks_webhook_secret"),
        ]
        triggers = [states.WEBHOOK.trigger()]

    def __str__(self) -> str:
        return self.host

    @property
    def host(self) -> str:
        """To whom news goes; the rest of an address may be a secret."""
        return str(urlsplit(self.url).hostname)


class Delivery(models.Model):
    """One message to one webhook: the outbox, and the log of what was sent. `id` is the message's own."""

    LIFE: ClassVar = timedelta(days=30)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=30)
    body = models.TextField(help_text="JSON, byte for byte as it is sent")
    state = models.CharField(max_length=10, default=states.DELIVERY.initial)
    tries = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="HTTP status of the last answer")
    problem = models.CharField(max_length=200, blank=True, help_text="Why the last try did not count")
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    tried_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "id"]
        default_permissions = ()
        constraints = [states.DELIVERY.check("webhooks_delivery_state")]
        triggers = [states.DELIVERY.trigger()]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="webhooks_delivery_due"),
            models.Index(F("webhook"), F("created_at").desc(), F("id"), name="webhooks_delivery_list"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.webhook}"

    @property
    def message(self) -> str:
        """What the message is called where it arrives."""
        return f"msg_{self.pk.hex}"
