"""Answers to writes that a program named by a key, so that the same request gets the same answer again."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class StoredAnswer(models.Model):
    """The answer to one write. Nothing in it can be read without the request's key and the portal's secret."""

    LIFE: ClassVar = timedelta(hours=24)

    id = models.BigAutoField(primary_key=True)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key_digest = models.CharField(max_length=64)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.BinaryField(help_text="Nonce and ciphertext; empty for an answer without content")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["person", "key_digest"], name="api_storedanswer_once"),
            models.CheckConstraint(condition=Q(status__gte=200, status__lt=300), name="api_storedanswer_done"),
        ]
        indexes = [models.Index(fields=["created_at"], name="api_storedanswer_age")]

    def __str__(self) -> str:
        return f"{self.status} at {self.created_at:%Y-%m-%d %H:%M:%S}"
