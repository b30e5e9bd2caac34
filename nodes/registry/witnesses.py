"""Nodes as witnesses of the log: their cosignatures, what they refused, and up to where the log has a quorum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Count, OuterRef, Subquery

from audit import proofs
from audit.models import Checkpoint, Cosignature, WitnessRefusal
from audit.services import record
from fedstudy_core.errors import Refusal
from fedstudy_core.transparency.checkpoints import Checkpoint as Signed
from fedstudy_core.transparency.notes import WITNESS, Note, NoteKey, Signature
from fedstudy_core.transparency.witnessing import quorum_of, witness_name, witnessed
from nodes.registry.models import Node
from nodes.registry.signals import log_refused


@dataclass(frozen=True)
class Quorum:
    """How far the log is witnessed.

    Attributes:
        sites: that have an active node.
        needed: of these, how many must have cosigned.
        size: up to which so many have; 0 for nowhere yet.
    """

    sites: int
    needed: int
    size: int


@dataclass(frozen=True)
class Standing:
    """A node as a witness.

    Attributes:
        last: its newest cosignature in the log as it is called now; None before.
        lag: events in the log that it has not cosigned.
        refusal: what it refused since its last cosignature; None when all is well.
    """

    node: Node
    last: Cosignature | None
    lag: int
    refusal: WitnessRefusal | None


@transaction.atomic
def take_cosignature(*, node: Node, key: str, size: int, line: str) -> Cosignature:
    """Keep a node's cosignature, once it is found to be its own and to be of a checkpoint of this log.

    The first by a key, or in a log that goes on under another origin, is an event: it says which key counts.

    Raises:
        Refusal: E_NOTE_KEY, E_WITNESS.
    """
    checkpoint = Checkpoint.objects.filter(size=size).first()
    if checkpoint is None:
        raise Refusal("E_WITNESS", f"The log has no checkpoint of {size} events.")
    signature = _verified(node, NoteKey.parse(key), line, checkpoint.note)
    origin = Signed.parse(Note.parse(checkpoint.note.encode()).text).origin
    mine = Cosignature.objects.filter(node=node.pk, origin=origin)
    began = not mine.filter(key=key).exists()
    facts = {"key": key, "line": line, "made_at": datetime.fromtimestamp(signature.time, UTC)}
    kept, created = Cosignature.objects.get_or_create(node=node.pk, origin=origin, size=size, defaults=facts)
    if kept.key != key:
        raise Refusal("E_WITNESS", f"This node cosigned {size} events by another key.")
    if created and began:
        detail = {"key": key, "log": origin}
        record(action="registry:witness:began", actor=node, obj=node, site=node.site_id, detail=detail)
    return kept


def _verified(node: Node, key: NoteKey, line: str, checkpoint: str) -> Signature:
    """The signature in a line under a checkpoint's note. Raises Refusal E_WITNESS."""
    text = Note.parse(checkpoint.encode()).text
    try:
        found = Note.parse(f"{text}\n{line}".encode()).signed_by([key])
        signature = found[key]
        datetime.fromtimestamp(signature.time, UTC)
    except (Refusal, KeyError, ValueError, OverflowError, OSError) as error:
        raise Refusal("E_WITNESS") from error
    if key.kind != WITNESS or key.name != witness_name(str(node.pk)) or str(signature) != line:
        raise Refusal("E_WITNESS")
    return signature


@transaction.atomic
def note_refusal(*, node: Node, code: str, seen: str, offered: str) -> WitnessRefusal:
    """Keep what a witness refused, once, and tell of it: from now on people must know."""
    facts = {"node": node.pk, "code": code, "seen": seen, "offered": offered}
    known = WitnessRefusal.objects.filter(**facts).first()
    if known is not None:
        return known
    refusal = WitnessRefusal.objects.create(**facts)
    action = "registry:witness:refused"
    record(action=action, actor=node, obj=node, site=node.site_id, outcome="refused", detail={"code": code})
    log_refused.send(sender=Node, node=node, refusal=refusal)
    return refusal


def origin_now() -> str:
    """The origin of the log as it is called now; empty before it has begun."""
    return proofs.log_key().partition("+")[0]


def newest(nodes: Iterable[Node]) -> dict[UUID, Cosignature]:
    """Each of these nodes' newest cosignature in the log as it is called now, by the node's id."""
    last = Cosignature.objects.filter(node=OuterRef("pk"), origin=origin_now()).order_by("-size").values("pk")[:1]
    ids = Node.objects.filter(pk__in=[node.pk for node in nodes]).values_list(Subquery(last), flat=True)
    return {row.node: row for row in Cosignature.objects.filter(pk__in=ids)}


def best_of_sites() -> list[Cosignature]:
    """Of each site the cosignature that reaches farthest, by its active nodes."""
    nodes = list(Node.objects.filter(state="active").only("pk", "site_id"))
    last, best = newest(nodes), dict[UUID, Cosignature]()
    for node in nodes:
        found = last.get(node.pk)
        if found and (node.site_id not in best or best[node.site_id].size < found.size):
            best[node.site_id] = found
    return list(best.values())


def quorum(best: Iterable[Cosignature] | None = None) -> Quorum:
    """How far the log is witnessed: two thirds of the sites with an active node, and two at least."""
    active = Node.objects.filter(state="active").aggregate(sites=Count("site", distinct=True))
    needed = quorum_of(active["sites"])
    rows = best_of_sites() if best is None else best
    return Quorum(active["sites"], needed, witnessed([row.size for row in rows], needed))


def standings(nodes: Iterable[Node]) -> list[Standing]:
    """How these nodes stand as witnesses."""
    found = list(nodes)
    last = newest(found)
    size = proofs.size_signed()
    refused = {row.node: row for row in _refusals(found)}
    return [_standing(node, last.get(node.pk), refused.get(node.pk), size) for node in found]


def _standing(node: Node, last: Cosignature | None, refusal: WitnessRefusal | None, size: int) -> Standing:
    lag = size - last.size if last else size
    is_open = refusal is not None and (last is None or refusal.at > last.at)
    return Standing(node, last, max(lag, 0), refusal if is_open else None)


def _refusals(nodes: Iterable[Node]) -> Iterable[WitnessRefusal]:
    last = WitnessRefusal.objects.filter(node=OuterRef("pk")).order_by("-id").values("pk")[:1]
    ids = Node.objects.filter(pk__in=[node.pk for node in nodes]).values_list(Subquery(last), flat=True)
    return WitnessRefusal.objects.filter(pk__in=ids)
