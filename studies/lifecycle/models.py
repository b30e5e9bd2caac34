"""Studies and the versions of their protocols."""

from __future__ import annotations

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from guardian.models import GroupObjectPermissionBase

from accounts.permissions import of_scope
from audit.triggers import Protect
from studies.lifecycle import states


class Study(models.Model):
    """One protocol that several sites carry out together."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    summary = models.TextField(blank=True)
    aims = models.TextField(blank=True)
    state = models.CharField(max_length=12, default=states.STUDY.initial)
    state_since = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "studies"
        default_permissions = ()
        permissions = of_scope("study")
        constraints = [
            states.STUDY.check("lifecycle_study_state"),
            models.CheckConstraint(condition=~Q(title=""), name="lifecycle_study_titled"),
        ]
        triggers = [states.STUDY.trigger()]

    def __str__(self) -> str:
        return self.title

    @property
    def protocol(self) -> ProtocolVersion | None:
        """The newest version of the protocol; its content is loaded when it is asked for."""
        return self.protocol_versions.defer("content").order_by("-number").first()


class StudyGroupObjectPermission(GroupObjectPermissionBase):
    """What a role's group may do in one study (read by guardian in place of its generic table)."""

    content_object = models.ForeignKey(Study, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.group}: {self.permission.codename}"


class ProtocolVersion(models.Model):
    """A protocol document as uploaded; versions are never changed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="protocol_versions")
    number = models.PositiveIntegerField()
    filename = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField(help_text="Bytes")
    content = models.BinaryField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-number"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="lifecycle_protocol_number"),
            models.CheckConstraint(condition=Q(number__gte=1), name="lifecycle_protocol_counted"),
        ]
        triggers = [Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.filename}, version {self.number}"
