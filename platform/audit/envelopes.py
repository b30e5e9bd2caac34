"""The signed documents that events name: approvals, revocations and the nodes' receipts, beside an export of the log.

An export has them in the order in which its events name them, each once, so that one that was taken out, put in or
exchanged is found by its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import QuerySet

from audit.models import Event
from fedstudy_core import dsse
from fedstudy_core.errors import Refusal

APPROVED, REVOKED, COMMITTED = "scripts:approval:recorded", "scripts:approval:revoked", "runs:round:committed"
NAMING = (APPROVED, REVOKED, COMMITTED)


@dataclass(frozen=True)
class Named:
    """A document that an event names.

    Attributes:
        name: "approval:" and the statement's id, "revocation:" or "receipt:" and the SHA-256 of the envelope.
        object: id of the approval, or of the run.
        round: of a receipt.
    """

    name: str
    object: str
    round: int = 0


class Keeping(Protocol):
    """Whoever keeps the documents, and knows which events say whose keys signed them."""

    def keys_for(self, rows: QuerySet[Event]) -> Sequence[int]:
        """Numbers of the events that tell of keys by which documents were signed that these events name."""

    def find(self, named: Sequence[Named]) -> Mapping[str, bytes]:
        """The documents (DSSE) that are there, by their names."""


def lines(batches: Iterable[Iterable[Event]], keeping: Keeping) -> Iterator[bytes]:
    """A line for each document that these events name, at its first naming; those that are not there say so."""
    seen: set[str] = set()
    for events in batches:
        wanted = {item.name: item for event in events for item in named_by(event) if item.name not in seen}
        seen |= wanted.keys()
        found = keeping.find(list(wanted.values()))
        for name in wanted:
            yield _line(name, found.get(name))


def named_by(event: Event) -> list[Named]:
    """The documents that an event names, in the order in which it does."""
    if event.action not in NAMING:
        return []
    facts: dict[str, Any] = json.loads(event.detail)
    if event.action == APPROVED:
        return [Named(f"approval:{facts['statement']}", event.object_id)] if "statement" in facts else []
    if event.action == REVOKED:
        return [Named(f"revocation:{facts['envelope']}", event.object_id)] if "envelope" in facts else []
    return [
        Named(f"receipt:{row['receipt']}", event.object_id, row.get("round", facts["round"]))
        for row in facts.get("sites", ())
        if "receipt" in row
    ]


def _line(name: str, document: bytes | None) -> bytes:
    """An envelope has one spelling, so it stands here as it is; what is none counts as not there."""
    written = b"null"
    if document is not None:
        with suppress(Refusal):
            dsse.unverified_payload(document)
            written = document
    return b'{"envelope":%s,"name":"%s"}\n' % (written, name.encode())
