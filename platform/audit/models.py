"""The audit log: what happened, when, by whom, to what, and the Merkle tree over it. Rows are added, never changed.

An event is written with the change that it tells of. That puts its number into the queue, from which one process, the
sequencer, gives every event its place in the tree (`audit.sequencer`).
"""

from __future__ import annotations

import secrets
import uuid

import pgtrigger
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils import timezone

from audit.triggers import Protect, Trigger

# The words by which an entry is found: of who did what to what, and of its details; in no language's forms.
WORDS = SearchVector("actor_label", "action", "object_label", "detail", config="simple")
AREA = Func(F("action"), Value(":"), Value(1), function="split_part", output_field=models.CharField())
# 48 random bytes that the database makes; events of before there was a context have 32.
SALT = Func(
    function="gen_random_uuid",
    template="(uuid_send(%(function)s()) || uuid_send(%(function)s()) || uuid_send(%(function)s()))",
    output_field=models.BinaryField(),
)
ONLY_ADDED = pgtrigger.Update | pgtrigger.Delete
QUEUED = "INSERT INTO audit_queue (event) VALUES (NEW.id); RETURN NULL;"
ACTION_PATTERN = r"^[a-z_]+:[a-z_]+:[a-z_]+$"
SALT_LENGTH = 48
# New entries wait in a list until the sequencer files them (`audit.sequencer`), so that no writer does it for others.
UNFILED_KB = 16 * 1024


def new_salt() -> bytes:
    """As the database's default, for less: some servers open a file for each random number."""
    return secrets.token_bytes(SALT_LENGTH)


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
    context = models.TextField(default="", db_default="", blank=True, help_text="Canonical JSON (audit.context)")
    salt = models.BinaryField(
        default=new_salt, db_default=SALT, editable=False, help_text="16 bytes for each of names, detail, context"
    )

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        constraints = [
            # one, since the database prepares each anew for each event
            models.CheckConstraint(
                condition=Q(action__regex=ACTION_PATTERN, outcome__in=["done", "refused", "failed"]) & ~Q(actor=""),
                name="audit_event_sound",
            ),
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
            GinIndex(WORDS, name="audit_event_words", gin_pending_list_limit=UNFILED_KB),
            GinIndex(WORDS, name="audit_event_platform", condition=Q(study=""), gin_pending_list_limit=UNFILED_KB),
        ]
        triggers = [
            Protect(name="append_only", operation=ONLY_ADDED),
            Trigger(
                name="queued",
                level=pgtrigger.Row,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                func=QUEUED,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} by {self.actor_label}"


class Queued(models.Model):
    """An event that has no place in the tree yet."""

    event = models.BigIntegerField(primary_key=True)

    class Meta:
        db_table = "audit_queue"
        default_permissions = ()

    def __str__(self) -> str:
        return f"event {self.event}"


class Leaf(models.Model):
    """An event's place in the tree, and what the tree says of it (`fedstudy_core.transparency.leaves`)."""

    position = models.BigIntegerField(primary_key=True)
    event = models.BigIntegerField(unique=True)
    body = models.TextField(help_text="Canonical JSON")
    hash = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(position__gte=0), name="audit_leaf_position")]
        triggers = [Protect(name="only_added", operation=ONLY_ADDED)]

    def __str__(self) -> str:
        return f"leaf {self.position}"


class Tile(models.Model):
    """256 hashes of the tree side by side, once there are all of them: leaves at level 0, roots of tiles above."""

    level = models.SmallIntegerField()
    place = models.BigIntegerField()
    hashes = models.BinaryField()
    root = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["level", "place"], name="audit_tile_place")]
        triggers = [Protect(name="only_added", operation=ONLY_ADDED)]

    def __str__(self) -> str:
        return f"tile {self.place} of level {self.level}"


class Checkpoint(models.Model):
    """What the log said of itself at one size, signed."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    note = models.TextField(help_text="C2SP signed note")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-size"]
        default_permissions = ()
        triggers = [Protect(name="only_added", operation=ONLY_ADDED)]

    def __str__(self) -> str:
        return f"checkpoint of {self.size} events"


class Cosignature(models.Model):
    """A witness's word: at this time, this was the largest tree that it had seen of the log of this origin."""

    node = models.UUIDField()
    key = models.CharField(max_length=300, help_text="name+id+key")
    origin = models.CharField(max_length=200)
    size = models.BigIntegerField()
    line = models.CharField(max_length=400, help_text="As it stands under the checkpoint's note")
    made_at = models.DateTimeField(help_text="By the witness's clock")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["node", "origin", "size"], name="audit_cosignature_once"),
            models.CheckConstraint(condition=Q(size__gte=1), name="audit_cosignature_size"),
        ]
        triggers = [Protect(name="only_added", operation=ONLY_ADDED)]

    def __str__(self) -> str:
        return f"cosignature of {self.size} events by node {self.node}"


class WitnessRefusal(models.Model):
    """A checkpoint that a witness did not cosign, beside the one that it saw before; both as it sent them."""

    node = models.UUIDField()
    code = models.CharField(max_length=20)
    seen = models.TextField(blank=True)
    offered = models.TextField(blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        indexes = [models.Index(fields=["node", "-id"], name="audit_refusal_node")]
        triggers = [Protect(name="only_added", operation=ONLY_ADDED)]

    def __str__(self) -> str:
        return f"{self.code} by node {self.node}"


class Succession(models.Model):
    """That the log goes on under another origin, and where the one before ended, signed."""

    origin = models.CharField(max_length=200, unique=True)
    note = models.TextField(help_text="fedstudy_core.transparency.successions")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        triggers = [Protect(name="only_added", operation=ONLY_ADDED)]

    def __str__(self) -> str:
        return f"succession of {self.origin}"


class LogKey(models.Model):
    """A public key that signed checkpoints from some moment on, as `name+id+key`."""

    key = models.CharField(max_length=300, unique=True)
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        triggers = [Protect(name="only_added", operation=ONLY_ADDED)]

    def __str__(self) -> str:
        return self.key
