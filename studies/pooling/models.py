"""Pool nodes of studies, the keys that they make for sites, what sites consented to, and what came, encrypted."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from studies.pooling import states

PEOPLE = settings.AUTH_USER_MODEL


class PoolNode(models.Model):
    """The node that holds the pooled rows of a study. A study has one at a time.

    `news` rises with whatever the node must look at.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("lifecycle.Study", on_delete=models.PROTECT, related_name="pool_nodes")
    site = models.ForeignKey("accounts.Site", on_delete=models.PROTECT, related_name="+")
    node_id = models.CharField(max_length=36, db_index=True)
    node_name = models.CharField(max_length=80)
    state = models.CharField(max_length=12, default=states.POOL_NODE.initial)
    news = models.PositiveBigIntegerField(default=0)
    named_by = models.ForeignKey(PEOPLE, on_delete=models.PROTECT, related_name="+")
    named_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-named_at"]
        default_permissions = ()
        constraints = [
            states.POOL_NODE.check("pooling_pool_node_state"),
            models.UniqueConstraint(fields=["study"], condition=Q(state="named"), name="pooling_pool_node_one"),
            models.CheckConstraint(
                condition=Q(state="named") ^ Q(ended_at__isnull=False), name="pooling_pool_node_ended_at"
            ),
        ]
        triggers = [states.POOL_NODE.trigger()]

    def __str__(self) -> str:
        return f"{self.node_name} of {self.site}"


class PoolKey(models.Model):
    """The public part of a key that the pool node made for one site. Once destroyed, nobody opens what it sealed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pool_node = models.ForeignKey(PoolNode, on_delete=models.PROTECT, related_name="keys")
    site = models.ForeignKey("accounts.Site", on_delete=models.PROTECT, related_name="+")
    recipient = models.CharField(max_length=100, unique=True, help_text="age X25519")
    envelope = models.BinaryField(help_text="The pool node's signed statement")
    state = models.CharField(max_length=12, default=states.KEY.initial)
    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    destroyed_at = models.DateTimeField(null=True, blank=True, help_text="As the pool node says")

    class Meta:
        ordering = ["registered_at"]
        default_permissions = ()
        constraints = [
            states.KEY.check("pooling_key_state"),
            models.UniqueConstraint(
                fields=["pool_node", "site"], condition=Q(state="active"), name="pooling_key_one_active"
            ),
            models.CheckConstraint(
                condition=Q(state="active") ^ Q(destroyed_at__isnull=False), name="pooling_key_destroyed_at"
            ),
        ]
        triggers = [states.KEY.trigger()]

    def __str__(self) -> str:
        return self.recipient


class PoolConsent(models.Model):
    """A site's signed consent that rows of it are pooled.

    `envelope` is what was signed, byte for byte; the other fields are read from it, for display and search. The node
    of the site and the pool node verify it themselves.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.ForeignKey(PoolKey, on_delete=models.PROTECT, related_name="consents")
    study = models.ForeignKey("lifecycle.Study", on_delete=models.PROTECT, related_name="pool_consents")
    site = models.ForeignKey("accounts.Site", on_delete=models.PROTECT, related_name="pool_consents")
    node_id = models.CharField(max_length=36)
    dataset = models.ForeignKey("dictionary.Dataset", on_delete=models.PROTECT, related_name="+")
    envelope = models.BinaryField()
    statement = models.JSONField()
    sha256 = models.CharField(max_length=64, unique=True, help_text="Of what was signed")
    level = models.CharField(max_length=2)
    sequence = models.PositiveBigIntegerField()
    state = models.CharField(max_length=12, default=states.CONSENT.initial)
    signed_at = models.DateTimeField(help_text="As the site says")
    not_after = models.DateTimeField()
    retention_until = models.DateTimeField()
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When it stopped to count, whatever the reason")
    reason = models.CharField(max_length=300, blank=True)
    revocation = models.BinaryField(null=True, blank=True, help_text="What the site signed, if it signed one")
    delete_asked_at = models.DateTimeField(null=True, blank=True)
    deletion = models.BinaryField(null=True, blank=True, help_text="What the pool node signed once all was deleted")
    deleted_at = models.DateTimeField(null=True, blank=True, help_text="As the pool node says")

    class Meta:
        ordering = ["-recorded_at"]
        default_permissions = ()
        constraints = [
            states.CONSENT.check("pooling_consent_state"),
            models.UniqueConstraint(
                fields=["study", "site"], condition=Q(state="valid"), name="pooling_consent_one_valid"
            ),
            models.CheckConstraint(condition=Q(level__in=states.LEVELS), name="pooling_consent_level"),
            models.CheckConstraint(
                condition=Q(state="valid") ^ Q(ended_at__isnull=False), name="pooling_consent_ended_at"
            ),
            models.CheckConstraint(
                condition=Q(state="deleted", deletion__isnull=False, deleted_at__isnull=False)
                | (~Q(state="deleted") & Q(deletion__isnull=True, deleted_at__isnull=True)),
                name="pooling_consent_deletion_proved",
            ),
        ]
        triggers = [states.CONSENT.trigger()]

    def __str__(self) -> str:
        return f"{self.site} at {self.level}"

    @property
    def is_valid(self) -> bool:
        """Whether it is in force now."""
        return self.state == "valid" and self.not_after > timezone.now()

    @property
    def standing(self) -> str:
        """Its state, and expired as soon as it is."""
        return "expired" if self.state == "valid" and not self.is_valid else self.state

    @property
    def has_come(self) -> bool:
        """Whether rows came under it, so that the pool node may hold some; selectors may have asked (`rows_came`)."""
        known: bool | None = vars(self).get("rows_came")
        return self.sent.filter(completed_at__isnull=False).exists() if known is None else known

    @property
    def awaits_proof(self) -> bool:
        """Whether its rows are to be gone, and the pool node has not proved yet that they are."""
        is_due = self.delete_asked_at is not None or self.retention_until <= timezone.now()
        return is_due and self.state != "deleted" and self.has_come


class PooledObject(models.Model):
    """One encrypted object of a site. The portal holds its bytes and can open none of them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consent = models.ForeignKey(PoolConsent, on_delete=models.PROTECT, related_name="sent")
    manifest = models.BinaryField(help_text="The site's node's signed description")
    sha256 = models.CharField(max_length=64, help_text="Of the encrypted bytes")
    size = models.PositiveBigIntegerField(help_text="Encrypted bytes")
    rows = models.PositiveBigIntegerField()
    columns = models.JSONField(help_text="Name and type of each")
    smallest_group = models.PositiveBigIntegerField(help_text="k: patients who share the same values, at the least")
    state = models.CharField(max_length=12, default=states.OBJECT.initial)
    announced_at = models.DateTimeField(default=timezone.now, editable=False)
    completed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When it was revoked or refused")
    deleted_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True, help_text="When the portal removed its bytes")

    class Meta:
        ordering = ["announced_at"]
        default_permissions = ()
        constraints = [
            states.OBJECT.check("pooling_object_state"),
            models.UniqueConstraint(
                fields=["consent"], condition=~Q(state="refused"), name="pooling_object_one_a_consent"
            ),
        ]
        triggers = [states.OBJECT.trigger()]

    def __str__(self) -> str:
        return self.sha256[:12]


class PooledTable(models.Model):
    """A dataset of a pool node, with the consents under which its rows came. It is good while all of these are."""

    dataset = models.OneToOneField(
        "dictionary.Dataset", on_delete=models.PROTECT, primary_key=True, related_name="pooled_table"
    )
    pool_node = models.ForeignKey(PoolNode, on_delete=models.PROTECT, related_name="tables")
    consents = models.ManyToManyField(PoolConsent, related_name="tables")
    good_until = models.DateTimeField(help_text="When the first of the consents expires")
    stale_since = models.DateTimeField(null=True, blank=True, help_text="Since when it holds rows that it may not")
    noted_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-noted_at"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"pooled rows in {self.dataset}"

    @property
    def is_good(self) -> bool:
        """Whether a run may use it now."""
        return self.stale_since is None and self.good_until > timezone.now()
