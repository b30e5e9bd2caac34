"""Nodes of sites, and the one-time tokens with which they enrol."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from nodes.registry import states

ONLINE = timedelta(seconds=30)
_STANDING = {
    "expected": "This node has not enrolled yet.",
    "pending": "This node waits for its site's admin to confirm its six words.",
    "frozen": "This node is frozen: two agents used its keys. Its site's admin can let it work again.",
    "revoked": "This node was revoked.",
}


class Node(models.Model):
    """The agent installed at a site: expected until it enrols, pending until a person confirmed its six words."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey("accounts.Site", on_delete=models.PROTECT, related_name="nodes")
    name = models.CharField(max_length=80)
    state = models.CharField(max_length=12, default=states.NODE.initial)
    identity_key = models.CharField(max_length=64, blank=True, help_text="Ed25519, Base64 of the raw public key")
    flower_key = models.TextField(blank=True, help_text="P-384 public key, PEM")
    approval_key = models.CharField(max_length=64, blank=True, help_text="Ed25519, Base64 of the raw public key")
    approvers = models.JSONField(
        default=list, blank=True, help_text="Who may sign at this node, as it says: fedstudy_core.approvers.ApproverKey"
    )
    flower_node_id = models.CharField(max_length=24, blank=True)
    words = models.CharField(max_length=120, blank=True)
    agent_version = models.CharField(max_length=40, blank=True)
    sandbox = models.CharField(max_length=10, blank=True)
    status = models.JSONField(default=dict)
    boots = models.JSONField(default=list, blank=True, help_text="Starts of the agent: nodes.registry.boots")
    page_url = models.CharField(max_length=300, blank=True, help_text="Where the site opens the node's own page")
    last_seen_at = models.DateTimeField(null=True, blank=True)
    last_sequence = models.BigIntegerField(default=0)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    enrolled_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    rotated_at = models.DateTimeField(null=True, blank=True, help_text="When the node last replaced its own keys")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        default_permissions = ()
        constraints = [
            states.NODE.check("registry_node_state"),
            models.UniqueConstraint(
                fields=["site", "name"], condition=~Q(state="revoked"), name="registry_node_name_at_site"
            ),
            models.UniqueConstraint(
                fields=["identity_key"], condition=~Q(identity_key=""), name="registry_node_identity_key"
            ),
            models.UniqueConstraint(
                fields=["flower_key"], condition=~Q(flower_key=""), name="registry_node_flower_key"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["expected", "revoked"])
                | ~(Q(identity_key="") | Q(flower_key="") | Q(approval_key="") | Q(words="")),
                name="registry_node_has_keys",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at__isnull=True, confirmed_by__isnull=True)
                | Q(confirmed_at__isnull=False, confirmed_by__isnull=False),
                name="registry_node_confirmed_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["active", "frozen"]) | Q(confirmed_at__isnull=False),
                name="registry_node_active_confirmed",
            ),
            models.CheckConstraint(condition=Q(last_sequence__gte=0), name="registry_node_sequence"),
        ]
        triggers = [states.NODE.trigger()]

    def __str__(self) -> str:
        return self.name

    @property
    def online(self) -> bool:
        """Whether an active node was heard of in the last 30 seconds."""
        return self.state == "active" and self.last_seen_at is not None and timezone.now() - self.last_seen_at < ONLINE

    @property
    def may_act(self) -> bool:
        """Whether the node speaks for its site: only once a person confirmed it."""
        return self.state == "active"

    @property
    def standing(self) -> str:
        """Why the node may not act, as a sentence; empty when it may."""
        return "" if self.may_act else _STANDING[self.state]

    @property
    def paused(self) -> dict[str, str] | None:
        """Since when and why the site's people have paused the node, as it said last."""
        return self.status.get("paused")

    @property
    def clock_off_s(self) -> int | None:
        """By how many seconds the node's clock was ahead of the portal's at its last heartbeat."""
        return self.status.get("clock_off_s")

    def level_in(self, study: object) -> str:
        """The level in a study that the node holds to, as it said last; empty where it said none."""
        known: str = self.status.get("levels", {}).get(str(study), "")
        return known

    def declines(self, run: object) -> str:
        """The code by which the site's people keep the node out of a run: E_PAUSED, E_VETO or none."""
        if self.paused:
            return "E_PAUSED"
        return "E_VETO" if str(run) in self.status.get("vetoes", ()) else ""

    def identity_keys(self, since: datetime) -> list[str]:
        """The identity keys, newest first, that the node held at that time or later."""
        retired = [key for key in self.retired_keys.all() if key.retired_at >= since]
        newest_first = sorted(retired, key=lambda key: key.retired_at, reverse=True)
        return [self.identity_key, *(key.identity_key for key in newest_first)]

    @property
    def audit_name(self) -> str:
        return f"node:{self.pk}"

    @property
    def audit_label(self) -> str:
        return f"node {self.name}"

    def audit_standing(self, _about: Collection[str]) -> dict[str, str]:
        """What an event says of a node that acts, whatever it concerns."""
        return {"role": "node", "site": str(self.site_id)}


class RetiredKeys(models.Model):
    """Keys that a node replaced: what it signed with them stays verifiable, and nobody uses them again."""

    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="retired_keys")
    identity_key = models.CharField(max_length=64, unique=True)
    flower_key = models.TextField(unique=True)
    words = models.CharField(max_length=120)
    retired_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-retired_at"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"keys of {self.node} until {self.retired_at:%Y-%m-%d}"


class EnrolmentToken(models.Model):
    """A one-time token for one node that is expected, or frozen; only its digest is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"token for {self.node}"
