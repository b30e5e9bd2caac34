"""How a dossier proves itself: its contents by the log's entry of it, every file by a manifest that is signed.

The key that signs is made for one dossier and forgotten: what makes it count is that the log, which nobody can
rewrite, names it beside the digest of the contents. `fedstudy_verify.dossier` reads what is written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import stored_tree
from audit.export import File, shown_line
from audit.models import Event, Leaf
from federation.dossiers.items import Item
from fedstudy_core import dsse
from fedstudy_core.canonical import digest
from fedstudy_core.transparency.checkpoints import Checkpoint
from fedstudy_core.transparency.notes import Note

FORMAT = "fedstudy-dossier-1"
PAYLOAD_TYPE = "application/vnd.fedstudy.dossier.v1+json"
ENTRY, MANIFEST, SIGNATURE, LOG = "entry.jsonl", "manifest.json", "signature.json", "log/"


def contents_digest(items: Sequence[Item]) -> str:
    """What the log's entry says of these files."""
    return digest(_json(_listed({item.path: item.sha256 for item in items})))


def sealed(
    items: Sequence[Item], waiting: Iterable[bytes], log: Iterable[File], event: Event, key: Ed25519PrivateKey
) -> Iterator[File]:
    """Every file of the dossier, in the order in which they are made.

    Args:
        items: with the contents that `event` names.
        waiting: pieces without content, until the log has signed `event`; they end the last item.
        log: the files of an export that begins after that.
        event: the log's entry of this dossier, which that export's checkpoint has.
        key: that `event` names.
    """
    digests = {item.path: item.sha256 for item in items}
    *others, last = items
    yield from ((item.path, iter([item.content])) for item in others)
    yield last.path, chain([last.content], waiting)
    checkpoint = b""
    for name, pieces in log:
        if name == "checkpoint":
            checkpoint = b"".join(pieces)
        yield LOG + name, _counted(LOG + name, [checkpoint] if name == "checkpoint" else pieces, digests)
    entry = _entry(event, _size(checkpoint))
    yield ENTRY, _counted(ENTRY, iter([entry]), digests)
    manifest = _json(_listed(digests))
    yield MANIFEST, iter([manifest])
    signed = {"format": FORMAT, "manifest": digest(manifest), "run": event.object_id}
    yield SIGNATURE, iter([dsse.sign(PAYLOAD_TYPE, _json(signed).rstrip(b"\n"), [key])])


def _counted(name: str, pieces: Iterable[bytes], digests: dict[str, str]) -> Iterator[bytes]:
    """The pieces; their digest is noted when the last has passed."""
    found = sha256()
    for piece in pieces:
        found.update(piece)
        yield piece
    digests[name] = found.hexdigest()


def _size(checkpoint: bytes) -> int:
    return Checkpoint.parse(Note.parse(checkpoint).text).size


def _entry(event: Event, size: int) -> bytes:
    """The event as an export shows it, and the proof that it is in the log of that size."""
    leaf = Leaf.objects.get(event=event.pk)
    hashes = [hash_.hex() for hash_ in stored_tree.inclusion_proof(leaf.position, size)]
    return shown_line(leaf, event) + _json(hashes)


def _listed(digests: Mapping[str, str]) -> dict[str, Any]:
    return {"files": dict(digests), "format": FORMAT}


def _json(value: Any) -> bytes:
    return f"{json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(',', ':'))}\n".encode()
