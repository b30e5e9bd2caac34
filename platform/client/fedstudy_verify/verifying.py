"""The verification of an export: keys, signatures, every row, the tree, earlier checkpoints, and every file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from fedstudy_verify import export
from fedstudy_verify.export import CHECKPOINT, EARLIER, KEYS, LOG, MANIFEST, NAMES, Export, Missing
from fedstudy_verify.notes import LOG as OF_LOG
from fedstudy_verify.notes import WITNESS, Checkpoint, Key, Unreadable
from fedstudy_verify.rows import Bad, Rows
from fedstudy_verify.tree import Edge


@dataclass
class Verdict:
    """What came out.

    Attributes:
        events: shown and found to be in the log.
        hidden: in the log and not shown to whom the export was made for.
        size: events in the log at the checkpoint.
        witnesses: names of those who signed the checkpoint too.
        key: that signed the log; `key_from` says whether it was given or stood in the export.
        problems: what is wrong, the first first.
        first_bad_row: {"line", "position"} of the first row that does not hold, counted from 1 and from 0. When a row
            and its hash were both exchanged, "until" says before which position the change is.
    """

    ok: bool = False
    events: int = 0
    hidden: int = 0
    size: int = 0
    checkpoints: int = 0
    witnesses: list[str] = field(default_factory=list)
    key: str = ""
    key_from: str = "export"
    problems: list[str] = field(default_factory=list)
    first_bad_row: dict[str, int] | None = None


@dataclass(frozen=True)
class Trust:
    """What the auditor knows from elsewhere: the log's key, witnesses' keys, how many of these must have signed."""

    log: str = ""
    witnesses: Sequence[str] = ()
    quorum: int = 0


@dataclass
class _Keys:
    log: Key
    witnesses: list[Key]
    quorum: int


def verify(path: Path, trust: Trust | None = None) -> Verdict:
    """Verify a folder or zip file."""
    verdict = Verdict()
    try:
        _verify(export.opened(path), trust or Trust(), verdict)
    except (Missing, Unreadable) as error:
        verdict.problems.append(f"{error}.")
    verdict.ok = not verdict.problems
    return verdict


def _verify(found: Export, trust: Trust, verdict: Verdict) -> None:
    keys = _keys(export.content(found, KEYS), trust, verdict)
    last = _signed(export.content(found, CHECKPOINT).decode("utf-8", "replace"), keys.log)
    verdict.size, verdict.key = last.size, keys.log.text
    signers = last.signers(keys.witnesses)
    verdict.witnesses = sorted(signers)
    if len(signers) < keys.quorum:
        verdict.problems.append(f"{len(signers)} witnesses signed the checkpoint, and {keys.quorum} should have.")
    earlier = [_signed(note, keys.log) for note in _notes(export.content(found, EARLIER))]
    digest = _rows(found, [*earlier, last], verdict)
    verdict.problems += _manifest(found, digest)


def _keys(data: bytes, trust: Trust, verdict: Verdict) -> _Keys:
    told = _json(KEYS, data)
    if not isinstance(told, dict) or set(told) != {"log", "witnesses", "quorum"}:
        raise Unreadable(f"{KEYS} does not name the keys")
    try:
        given = Trust(str(told["log"]), [str(text) for text in told["witnesses"]], int(told["quorum"]))
    except (TypeError, ValueError) as error:
        raise Unreadable(f"{KEYS} does not name the keys") from error
    if trust.log:
        verdict.key_from = "given"
        if trust.log != given.log:
            verdict.problems.append("The export names another key of the log than the one that you trust.")
    log = Key.read(trust.log or given.log)
    witnesses = [Key.read(text) for text in (trust.witnesses or given.witnesses)]
    if log.kind != OF_LOG or any(key.kind != WITNESS for key in witnesses):
        raise Unreadable("a key is of another kind")
    return _Keys(log, witnesses, trust.quorum or given.quorum)


def _signed(note: str, key: Key) -> Checkpoint:
    found = Checkpoint.read(note)
    if found.origin != key.name or not found.signers([key]):
        raise Unreadable(f"a checkpoint is not signed by {key.name}")
    return found


def _notes(data: bytes) -> list[str]:
    told = [_json(EARLIER, line) for line in data.splitlines(keepends=True)]
    if not all(isinstance(note, str) for note in told):
        raise Unreadable(f"{EARLIER} holds something else than checkpoints")
    return told


def _rows(found: Export, checkpoints: Sequence[Checkpoint], verdict: Verdict) -> str:
    """Read every row into the tree, and compare it with each checkpoint on the way; returns the file's SHA-256."""
    rows, edge, digest, held = Rows(), Edge(), sha256(), 0
    due = list(checkpoints)
    last = due[-1].size
    if [item.size for item in due] != sorted({item.size for item in due}):
        raise Unreadable("the checkpoints are not in their order")
    number = 0
    for number, line in enumerate(export.lines(found, LOG), 1):
        digest.update(line)
        if verdict.first_bad_row is not None:
            continue
        before = rows.position
        try:
            if before >= last:
                raise Bad("this is more than the checkpoint has")
            for hash_, level in rows.read(line):
                edge.add(hash_, level)
        except Bad as error:
            verdict.first_bad_row = {"line": number, "position": before}
            verdict.problems.append(f"Row {number} (event {before}): {error}.")
            continue
        if edge.size < due[0].size:
            continue
        if edge.size == due[0].size and edge.root() == due[0].root:
            held = due.pop(0).size
            verdict.checkpoints += 1
            due = due or [checkpoints[-1]]
        elif before < last:
            verdict.first_bad_row = {"line": number, "position": held, "until": edge.size}
            verdict.problems.append(f"Some row from event {held} up to event {edge.size - 1} was exchanged.")
    if verdict.first_bad_row is None and rows.position < last:
        verdict.first_bad_row = {"line": number + 1, "position": rows.position}
        verdict.problems.append(f"Row {number + 1} (event {rows.position}) is not there.")
    verdict.events, verdict.hidden = rows.events, rows.hidden
    return digest.hexdigest()


def _manifest(found: Export, log_digest: str) -> list[str]:
    """What is wrong with the list of files and their hashes."""
    told = _json(MANIFEST, export.content(found, MANIFEST))
    names = [name for name in NAMES if name not in (LOG, MANIFEST)]
    expected = {name: sha256(export.content(found, name)).hexdigest() for name in names} | {LOG: log_digest}
    if told != {"format": "fedstudy-log-1", "files": expected}:
        return [f"{MANIFEST} does not have the files as they are here."]
    return []


def _json(name: str, data: bytes) -> Any:
    """A value that is written in its one way."""
    try:
        value = json.loads(data)
        written = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
        if written.encode() == data:
            return value
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{name} is not JSON") from error
    raise Unreadable(f"{name} is not written in its one way")
