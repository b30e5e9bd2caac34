"""An export that proves itself: events with their leaves, and of all others the hashes that the tree needs.

It is a few files, which `fedstudy-verify` reads without the portal: `log.jsonl` (a line for each event, and for each
run of events that are not shown), `envelopes.jsonl` (the signed documents that these events name), `checkpoint`,
`earlier.jsonl` (checkpoints of before), `keys.json` and `manifest.json` (the other files' SHA-256).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import timedelta
from hashlib import sha256
from itertools import pairwise
from json.encoder import encode_basestring
from typing import Any

from django.db.models import Q, QuerySet

from audit import envelopes, stored_tree
from audit.envelopes import NAMING, Keeping
from audit.models import Checkpoint, Cosignature, Event, Leaf
from audit.proofs import latest_checkpoint, log_key, texts_of
from fedstudy_core.transparency.leaves import BoundText
from fedstudy_core.transparency.tree import Span, subtrees
from fedstudy_core.transparency.witnessing import witnessed

FORMAT = "fedstudy-log-2"
AT_ONCE = 2_000
OLD = timedelta(minutes=5)  # after so long without a quorum, what it did not cosign is shown as well
EARLIER = 32  # checkpoints of before, over the length of the log
NEAREST = """
SELECT nearest.* FROM unnest(%s::bigint[]) AS wanted (size)
CROSS JOIN LATERAL (
    SELECT * FROM audit_checkpoint WHERE audit_checkpoint.size <= wanted.size
    ORDER BY audit_checkpoint.size DESC LIMIT 1
) nearest
"""
File = tuple[str, Iterator[bytes]]


def files(
    rows: QuerySet[Event], cosigned: Sequence[Cosignature] = (), quorum: int = 0, *, keeping: Keeping
) -> Iterator[File]:
    """The names and contents of the export of these events, as far as they are signed.

    The events that tell of the keys of those who signed are shown as well. Where witnesses follow the log, the last
    events shown are those that a quorum has cosigned; only when its word is old are newer ones shown.

    Args:
        cosigned: of each witness its newest cosignature.
        quorum: how many of them there should be.
        keeping: where the signed documents are that the events name.

    Raises:
        Conflict: E_LOG_BEHIND, nothing is signed yet.
    """
    last = latest_checkpoint()
    known = [item for item in cosigned if item.size <= last.size]
    earlier = _earlier(last, {item.size for item in known})
    reached = witnessed([item.size for item in known], quorum)
    sizes = [*(item.size for item in earlier), last.size]
    keys = {"log": log_key(), "witnesses": [item.key for item in known], "quorum": quorum if reached else 0}
    shown = Event.objects.filter(Q(pk__in=rows.order_by().values("pk")) | Q(pk__in=keeping.keys_for(rows)))
    until = _until(reached, last)
    contents: list[tuple[str, Iterable[bytes]]] = [
        ("log.jsonl", _lines(shown, sizes, until)),
        ("envelopes.jsonl", envelopes.lines(_naming(rows, until), keeping)),
        ("earlier.jsonl", [_json(_note(item, known)) for item in earlier]),
        ("checkpoint", [_note(last, known).encode("utf-8")]),
        ("keys.json", [_json(keys)]),
    ]
    return _with_manifest(contents)


def _note(item: Checkpoint, cosigned: Sequence[Cosignature]) -> str:
    """A checkpoint's note, with the lines of the witnesses who cosigned this one."""
    return item.note + "".join(found.line for found in cosigned if found.size == item.size)


def _until(reached: int, last: Checkpoint) -> int:
    """Before which position events are shown: what a quorum cosigned of late, or all that is signed."""
    at = Checkpoint.objects.filter(size=reached).values_list("at", flat=True).first()
    return reached if at is not None and last.at - at < OLD else last.size


def _with_manifest(contents: list[tuple[str, Iterable[bytes]]]) -> Iterator[File]:
    digests: dict[str, Any] = {}

    def counted(name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        digest = sha256()
        for piece in pieces:
            digest.update(piece)
            yield piece
        digests[name] = digest.hexdigest()

    for name, pieces in contents:
        yield name, counted(name, pieces)
    yield "manifest.json", iter([_json({"format": FORMAT, "files": digests})])


def _earlier(last: Checkpoint, cosigned: Set[int]) -> list[Checkpoint]:
    """Some checkpoints of before, each signed with the same origin, spread evenly; and those that were cosigned."""
    wanted = {last.size * number // EARLIER for number in range(1, EARLIER)} | cosigned
    found = Checkpoint.objects.raw(NEAREST, [sorted(wanted)])
    origin = last.note.partition("\n")[0] + "\n"
    sizes = {item.size: item for item in found if item.size < last.size and item.note.startswith(origin)}
    return [sizes[size] for size in sorted(sizes)]


def _lines(rows: QuerySet[Event], sizes: list[int], shown: int) -> Iterator[bytes]:
    """Every event up to the last of these sizes, shown (before that position) or as part of a run that is not.

    Such a run ends at each of the sizes, so that the tree's root can be computed there.
    """
    at = 0
    for leaves in _leaves(rows, shown):
        events = Event.objects.in_bulk([leaf.event for leaf in leaves])
        gaps = list(_gaps(at, [leaf.position for leaf in leaves], sizes))
        roots = _roots(gap for group in gaps for gap in group)
        for leaf, group in zip(leaves, gaps, strict=True):
            yield from (_hidden(gap, roots) for gap in group)
            yield shown_line(leaf, events[leaf.event])
        at = leaves[-1].position + 1
    rest = _cut((at, sizes[-1]), sizes)
    roots = _roots(rest)
    yield from (_hidden(gap, roots) for gap in rest)


def _naming(rows: QuerySet[Event], shown: int) -> Iterator[list[Event]]:
    """Those of the events that name documents, in their order, some at a time."""
    for leaves in _leaves(rows.filter(action__in=NAMING), shown):
        events = Event.objects.in_bulk([leaf.event for leaf in leaves])
        yield [events[leaf.event] for leaf in leaves]


def _leaves(rows: QuerySet[Event], size: int) -> Iterator[list[Leaf]]:
    """The places of these events, in their order, some at a time."""
    shown = Leaf.objects.filter(event__in=rows.order_by().values("pk"), position__lt=size).order_by("position")
    last = -1
    while found := list(shown.filter(position__gt=last)[:AT_ONCE]):
        yield found
        last = found[-1].position


def _gaps(at: int, positions: list[int], sizes: list[int]) -> Iterator[list[Span]]:
    """Before each position, what is not shown since the position before."""
    for position in positions:
        yield _cut((at, position), sizes)
        at = position + 1


def _cut(span: Span, sizes: list[int]) -> list[Span]:
    start, end = span
    if start >= end:
        return []
    edges = [start, *(size for size in sizes if start < size < end), end]
    return list(pairwise(edges))


def _roots(gaps: Iterable[Span]) -> dict[tuple[int, int], bytes]:
    return stored_tree.nodes({place for gap in gaps for place in subtrees(*gap)})


def _hidden(gap: Span, roots: dict[tuple[int, int], bytes]) -> bytes:
    told = ",".join(f'"{roots[place].hex()}"' for place in subtrees(*gap))
    return f'{{"hidden":[{gap[0]},{gap[1]}],"roots":[{told}]}}\n'.encode()


def shown_line(leaf: Leaf, event: Event) -> bytes:
    """The line of an event that is shown: its place and hash, its texts with their salts, its leaf."""
    texts = texts_of(event)
    context = f',"context":{_opened(texts.context)}' if texts.context else ""
    return (
        f'{{"position":{leaf.position},"hash":"{bytes(leaf.hash).hex()}","names":{_opened(texts.names)},'
        f'"detail":{_opened(texts.detail)}{context},"leaf":{leaf.body}}}\n'
    ).encode()


def _opened(text: BoundText) -> str:
    return f'{{"salt":"{text.salt.hex()}","text":{encode_basestring(text.text)}}}'


def _json(value: Any) -> bytes:
    return f"{json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(',', ':'))}\n".encode()
