"""Scripts, their immutable versions, their reviews, and the sites' signed approvals as the portal sees them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from studies.scripts import states


class Script(models.Model):
    """A Flower app that trains or analyses, through all of its versions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("lifecycle.Study", on_delete=models.PROTECT, related_name="scripts")
    name = models.CharField(max_length=120)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["study", "name"], name="scripts_script_name"),
            models.CheckConstraint(condition=~Q(name=""), name="scripts_script_named"),
        ]

    def __str__(self) -> str:
        return self.name


class ScriptVersion(models.Model):
    """One bundle, named by its SHA-256. Only its state may change."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    script = models.ForeignKey(Script, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField(help_text="Bytes")
    bundle = models.BinaryField()
    files = models.JSONField(help_text="Path, SHA-256 and size of each file")
    parameters = models.JSONField(default=list)
    default_config = models.JSONField(default=dict)
    declaration = models.JSONField(default=dict)
    findings = models.JSONField(default=list, help_text="fedstudy_core.analysis.Finding, the riskiest first")
    edition = models.PositiveSmallIntegerField(default=0, help_text="Of the rules that the findings come from")
    replaces = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="replaced_by",
        help_text="The version whose approvals end, site by site, as sites sign this one",
    )
    state = models.CharField(max_length=12, default=states.VERSION.initial)
    submitted_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-number"]
        default_permissions = ()
        constraints = [
            states.VERSION.check("scripts_version_state"),
            models.UniqueConstraint(fields=["script", "number"], name="scripts_version_number"),
            models.UniqueConstraint(fields=["script", "sha256"], name="scripts_version_content"),
            models.CheckConstraint(condition=Q(number__gte=1), name="scripts_version_counted"),
            models.CheckConstraint(condition=~Q(replaces=F("id")), name="scripts_version_replaces_another"),
        ]
        triggers = [states.VERSION.trigger()]

    def __str__(self) -> str:
        return f"{self.script.name} v{self.number}"


class Approval(models.Model):
    """A site's signed statement that one exact version may, or may not, run on one exact dataset.

    `envelope` is what the site signed, byte for byte; the other fields are read from it and only for display and
    search. Each node verifies its own copy; this row grants nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ScriptVersion, on_delete=models.PROTECT, related_name="approvals")
    site = models.ForeignKey("accounts.Site", on_delete=models.PROTECT, related_name="approvals")
    node_id = models.CharField(max_length=36)
    dataset = models.ForeignKey("dictionary.Dataset", on_delete=models.PROTECT, related_name="approvals")
    envelope = models.BinaryField()
    statement = models.JSONField()
    statement_id = models.CharField(max_length=64, unique=True)
    decision = models.CharField(max_length=10)
    state = models.CharField(max_length=12, default=states.APPROVAL.initial)
    signed_at = models.DateTimeField(help_text="When the site wrote the statement, as it says")
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    approver_name = models.CharField(max_length=200)
    approver_role = models.CharField(max_length=40, blank=True)
    key_id = models.CharField(max_length=64)
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=300, blank=True)
    revocation = models.BinaryField(null=True, blank=True, help_text="The site's signed revocation, if it sent one")

    class Meta:
        ordering = ["-recorded_at"]
        default_permissions = ()
        constraints = [
            states.APPROVAL.check("scripts_approval_state"),
            models.CheckConstraint(condition=Q(decision__in=list(states.DECISIONS)), name="scripts_approval_decision"),
            models.CheckConstraint(condition=Q(not_after__gt=F("not_before")), name="scripts_approval_period"),
            models.CheckConstraint(
                condition=Q(state="valid", revoked_at__isnull=True) | Q(state="revoked", revoked_at__isnull=False),
                name="scripts_approval_revoked_at",
            ),
        ]
        indexes = [models.Index(fields=["version", "state"], name="scripts_approval_in_force")]
        triggers = [states.APPROVAL.trigger()]

    def __str__(self) -> str:
        return f"{self.version} {self.decision} by {self.site}"


class ReviewThread(models.Model):
    """A question or a remark on a version, perhaps at a line of a file, with what was answered."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ScriptVersion, on_delete=models.PROTECT, related_name="threads")
    site = models.ForeignKey(
        "accounts.Site", on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="That asks"
    )
    kind = models.CharField(max_length=10)
    path = models.CharField(max_length=400, blank=True)
    line = models.PositiveIntegerField(null=True, blank=True)
    state = models.CharField(max_length=10, default=states.THREAD.initial)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(default=timezone.now, editable=False)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["opened_at"]
        default_permissions = ()
        constraints = [
            states.THREAD.check("scripts_thread_state"),
            models.CheckConstraint(condition=Q(kind__in=list(states.THREAD_KINDS)), name="scripts_thread_kind"),
            models.CheckConstraint(
                condition=Q(line__isnull=True) | (Q(line__gte=1) & ~Q(path="")), name="scripts_thread_line_of_file"
            ),
            models.CheckConstraint(
                condition=Q(state="open", resolved_at__isnull=True, resolved_by__isnull=True)
                | Q(state="resolved", resolved_at__isnull=False, resolved_by__isnull=False),
                name="scripts_thread_resolved_by_somebody",
            ),
        ]
        triggers = [states.THREAD.trigger()]

    def __str__(self) -> str:
        return f"{self.kind} on {self.version}"


class ReviewComment(models.Model):
    """What somebody wrote in a thread. The audit log has its SHA-256, so the text itself can be erased."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    thread = models.ForeignKey(ReviewThread, on_delete=models.PROTECT, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    speaks_for = models.CharField(max_length=200, help_text="The site, or the role in the study")
    text = models.TextField()
    written_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["written_at"]
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=~Q(text=""), name="scripts_comment_said")]

    def __str__(self) -> str:
        return f"comment on {self.thread_id}"


class ReviewTick(models.Model):
    """One item of the checklist that one reviewer ticked for a site."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ScriptVersion, on_delete=models.PROTECT, related_name="ticks")
    site = models.ForeignKey("accounts.Site", on_delete=models.PROTECT, related_name="+")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    edition = models.PositiveSmallIntegerField(help_text="Of the checklist")
    item = models.CharField(max_length=40)
    ticked_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["ticked_at"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["version", "site", "reviewer", "edition", "item"], name="scripts_tick_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item} by {self.reviewer}"
