"""The signed documents that the log's events name, from where they are kept (`audit.envelopes.Keeping`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from uuid import UUID

from django.db.models import QuerySet

from audit.envelopes import APPROVED, COMMITTED, REVOKED, Named
from audit.models import Event
from federation.runs.models import Participant, Participation
from nodes.registry.logged_keys import NODE, key_events
from studies.scripts.models import Approval


class Documents:
    """Approvals and revocations, and the receipts of rounds."""

    def keys_for(self, rows: QuerySet[Event]) -> Sequence[int]:
        """Numbers of the events that tell of keys by which documents were signed that these events name.

        Of the people at a node only those are told of who signed one of them.
        """
        signed = Approval.objects.filter(pk__in=_objects(rows, APPROVED, REVOKED))
        asked = Participant.objects.filter(run__in=_objects(rows, COMMITTED))
        people: set[str] = set()
        nodes = {str(node) for node in asked.values_list("node", flat=True).distinct()}
        for node, statement in signed.values_list("node_id", "statement"):
            nodes.add(node)
            people |= {signer["key"] for signer in statement["approvers"]}
        told = key_events(*nodes)
        own = {facts["key"] for _, facts in told if facts.get("kind") == NODE}
        return [event.pk for event, facts in told if facts["key"] in people | own]

    def find(self, named: Sequence[Named]) -> Mapping[str, bytes]:
        """The documents that are there, by their names."""
        wanted = {item.name for item in named}
        rounds = [item for item in named if item.name.startswith("receipt:")]
        found: dict[str, bytes] = {}
        decisions = Approval.objects.filter(pk__in={item.object for item in named} - {item.object for item in rounds})
        for statement, envelope, revocation in decisions.values_list("statement_id", "envelope", "revocation"):
            found[f"approval:{statement}"] = bytes(envelope)
            found |= _by_digest("revocation", revocation)
        answers = Participation.objects.filter(
            round__run__in={item.object for item in rounds}, round__number__in={item.round for item in rounds}
        )
        for receipt in answers.exclude(receipt=b"").values_list("receipt", flat=True).iterator():
            found |= _by_digest("receipt", receipt)
        return {name: document for name, document in found.items() if name in wanted}


def _by_digest(kind: str, document: bytes | memoryview | None) -> dict[str, bytes]:
    return {f"{kind}:{sha256(document).hexdigest()}": bytes(document)} if document else {}


def _objects(rows: QuerySet[Event], *actions: str) -> list[UUID]:
    """Of what these events are that have one of these actions."""
    found = rows.filter(action__in=actions).order_by().values_list("object_id", flat=True).distinct()
    return [UUID(name) for name in found]
