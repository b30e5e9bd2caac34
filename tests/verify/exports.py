"""Exports without a portal: events, their tree and its checkpoints, written as the portal writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core.transparency.checkpoints import Checkpoint
from fedstudy_core.transparency.leaves import BoundText, Leaf, names_text
from fedstudy_core.transparency.notes import LOG, WITNESS, NoteKey, cosign
from fedstudy_core.transparency.tree import Edge, leaf_hash, root_of, subtrees

ORIGIN = "portal.test/audit"
KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
WITNESSES = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (2, 3, 4)]
LOG_KEY = str(NoteKey.of(ORIGIN, LOG, KEY.public_key()))
WITNESS_KEYS = [str(NoteKey.of(f"node.test/{at}", WITNESS, key.public_key())) for at, key in enumerate(WITNESSES)]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def leaf_of(number: int) -> Leaf:
    """A made-up event; some have letters and quotes that JSON must write with care. Every second has a context."""
    context = json.dumps({"auth": {"method": "session", "aal": 2}, "request": f"r-{number}", "software": "0.1.0 \\"})
    detail = json.dumps({"number": number, "words": 'quoted "ü" \\ \n' * (number % 3)}, ensure_ascii=False)
    return Leaf(
        event=f"00000000-0000-4000-8000-{number:012}",
        at=BEGAN + timedelta(seconds=number),
        actor="user:7",
        action="runs:round:committed",
        object_type="run",
        object_id=str(number % 17),
        study="s",
        site="",
        outcome="done",
        names=BoundText(number.to_bytes(16, "big"), names_text("Ada Demo", "Demo run")),
        detail=BoundText(number.to_bytes(16, "little"), detail),
        context=BoundText((number + 1000).to_bytes(16, "little"), context) if number % 2 else None,
    )


def write_export(
    folder: Path,
    count: int,
    *,
    hidden: Collection[int] = (),
    earlier: Sequence[int] = (),
    cosigners: int = 0,
    quorum: int = 0,
    leaf: Callable[[int], Leaf] = leaf_of,
    envelopes: Sequence[bytes] | None = (),
) -> None:
    """An export of a log of `count` events, some of them not shown; without envelopes it is as of before they came."""
    folder.mkdir(exist_ok=True)
    edge, hashes, notes = Edge(), list[bytes](), dict[int, str]()
    with (folder / "log.jsonl").open("wb") as file:
        since: int | None = None
        for number in range(count):
            made = leaf(number)
            body = made.body()
            hashes.append(leaf_hash(body))
            edge.append(hashes[-1])
            since = number if number in hidden and since is None else since
            ends = number + 1 in (*earlier, count) or number + 1 not in hidden
            if since is not None and ends:
                file.write(_hidden(since, number + 1, hashes))
                since = None
            elif number not in hidden:
                file.write(_line(number, hashes[-1], made, body))
            if number + 1 in (*earlier, count):
                note = Checkpoint(ORIGIN, number + 1, edge.root()).signed(KEY)
                for at, key in list(enumerate(WITNESSES))[:cosigners]:
                    note = note.with_signatures(cosign(note.text, f"node.test/{at}", key, at=1_800_000_000))
                notes[number + 1] = str(note)
    (folder / "checkpoint").write_text(notes[count])
    (folder / "earlier.jsonl").write_bytes(b"".join(_json(notes[size]) for size in sorted(set(earlier) - {count})))
    (folder / "keys.json").write_bytes(_json({"log": LOG_KEY, "witnesses": WITNESS_KEYS[:cosigners], "quorum": quorum}))
    if envelopes is not None:
        (folder / "envelopes.jsonl").write_bytes(b"".join(envelopes))
    write_manifest(folder)


def write_manifest(folder: Path) -> None:
    """The files' hashes as they are now."""
    names = ("log.jsonl", "envelopes.jsonl", "checkpoint", "earlier.jsonl", "keys.json")
    there = [name for name in names if (folder / name).exists()]
    files = {name: sha256((folder / name).read_bytes()).hexdigest() for name in there}
    form = "fedstudy-log-2" if "envelopes.jsonl" in files else "fedstudy-log-1"
    (folder / "manifest.json").write_bytes(_json({"format": form, "files": files}))


def _hidden(start: int, end: int, hashes: Sequence[bytes]) -> bytes:
    places = [(place << level, (place + 1) << level) for level, place in subtrees(start, end)]
    roots = ",".join(f'"{root_of(hashes[first:last]).hex()}"' for first, last in places)
    return f'{{"hidden":[{start},{end}],"roots":[{roots}]}}\n'.encode()


def _line(position: int, hash_: bytes, leaf: Leaf, body: bytes) -> bytes:
    context = f',"context":{_opened(leaf.context)}' if leaf.context else ""
    return (
        f'{{"position":{position},"hash":"{hash_.hex()}","names":{_opened(leaf.names)},'
        f'"detail":{_opened(leaf.detail)}{context},"leaf":{body.decode()}}}\n'
    ).encode()


def _opened(text: BoundText) -> str:
    return f'{{"salt":"{text.salt.hex()}","text":{encode_basestring(text.text)}}}'


def _json(value: Any) -> bytes:
    return f"{json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(',', ':'))}\n".encode()
