"""The sequencer: gives every event its place in the tree, and signs what the tree is.

One process leads, by an advisory lock that its database session holds; it writes by that same session, so one that
lost the lock can write nothing. A batch is one transaction: it is there with all its leaves, tiles and queue entries,
or not at all. Whoever writes an event never waits for any of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, transaction

from audit import stored_tree
from audit.growth import FullTile, Growth
from audit.models import Checkpoint, LogKey, Tile
from audit.proofs import bound_texts
from fedstudy_core.errors import Refusal
from fedstudy_core.transparency import checkpoints
from fedstudy_core.transparency.leaves import Leaf
from fedstudy_core.transparency.notes import LOG, NoteKey
from fedstudy_core.transparency.tree import leaf_hash

AT_ONCE = 2_000
LOCK = 0x666564_6C6F67  # "fedlog"
MISSING = """
INSERT INTO audit_queue (event)
SELECT id FROM audit_event WHERE NOT EXISTS (SELECT FROM audit_leaf WHERE audit_leaf.event = audit_event.id)
ON CONFLICT DO NOTHING
"""
BATCH = """
SELECT id, event_id::text, at, actor, actor_label, action, object_type, object_id, object_label, study, site, outcome,
       detail, context, salt
FROM audit_queue JOIN audit_event ON audit_event.id = audit_queue.event
ORDER BY id LIMIT %s
"""
DONE = "DELETE FROM audit_queue WHERE event = ANY(%s)"
FILED = "SELECT audit_file_words()"
PLACED = "COPY audit_leaf (position, event, body, hash) FROM STDIN"


@dataclass(frozen=True)
class LogSigner:
    """With what the log signs: its private key, in the name of its origin."""

    origin: str
    private: Ed25519PrivateKey

    @property
    def key(self) -> NoteKey:
        return NoteKey.of(self.origin, LOG, self.private.public_key())


def lead() -> bool:
    """Try to become the one sequencer; holds until this database session ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


@dataclass
class Sequencer:
    """The leader's work. After any error it is dropped with its session, and begun anew from the database."""

    signer: LogSigner
    growth: Growth
    signed: int
    filed: int = 0

    @classmethod
    def begin(cls, signer: LogSigner) -> Sequencer:
        """Take up the log where it stands, and queue every event that neither tree nor queue knows.

        Raises:
            Refusal: E_LOG_ALTERED, what is stored is not what was signed last.
        """
        with transaction.atomic():
            LogKey.objects.get_or_create(key=str(signer.key))
        last = Checkpoint.objects.first()
        growth = Growth.stored()
        if last and (growth.edge.size < last.size or stored_tree.root(last.size) != bytes(last.root)):
            raise Refusal("E_LOG_ALTERED")
        with connection.cursor() as cursor:
            cursor.execute(MISSING)
        return cls(signer, growth, last.size if last else 0)

    def place_batch(self) -> int:
        """Give the next queued events their places; returns how many there were."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(BATCH, [AT_ONCE])
            rows = cursor.fetchall()
            if not rows:
                return 0
            tiles: list[FullTile] = []
            with connection.wrap_database_errors, cursor.copy(PLACED) as target:
                for row in rows:
                    body = _leaf(row).body()
                    hash_ = leaf_hash(body)
                    target.write_row((self.growth.edge.size, row[0], body.decode("utf-8"), hash_))
                    tiles += self.growth.append(hash_)
            Tile.objects.bulk_create([Tile(**vars(tile)) for tile in tiles])
            cursor.execute(DONE, [[row[0] for row in rows]])
        return len(rows)

    def sign_checkpoint(self) -> bool:
        """Sign the tree as it is, if it has grown since the last checkpoint."""
        size = self.growth.edge.size
        if size == self.signed:
            return False
        found = checkpoints.Checkpoint(self.signer.origin, size, self.growth.edge.root())
        with transaction.atomic():
            Checkpoint.objects.create(size=size, root=found.root, note=str(found.signed(self.signer.private)))
        self.signed = size
        return True

    def file_words(self) -> None:
        """Put the words of new events from the list where they wait into their index."""
        if self.filed != self.growth.edge.size:
            with connection.cursor() as cursor:
                cursor.execute(FILED)
            self.filed = self.growth.edge.size


def _leaf(row: Sequence[Any]) -> Leaf:
    at: datetime = row[2]
    actor, actor_label, action, object_type, object_id, object_label, study, site, outcome = row[3:12]
    return Leaf(
        event=row[1],
        at=at,
        actor=actor,
        action=action,
        object_type=object_type,
        object_id=object_id,
        study=study,
        site=site,
        outcome=outcome,
        **vars(bound_texts(bytes(row[14]), actor_label, object_label, detail=row[12], context=row[13])),
    )
