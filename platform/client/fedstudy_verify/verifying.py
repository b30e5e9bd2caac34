"""The verification of an export: keys, signatures, every row, the tree, earlier checkpoints, and every file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from fedstudy_verify import export
from fedstudy_verify.blocks import Block, Hashes, read_blocks
from fedstudy_verify.documents import Judge
from fedstudy_verify.export import (
    BEFORE_ENVELOPES,
    CHECKPOINT,
    EARLIER,
    ENVELOPES,
    KEYS,
    LOG,
    MANIFEST,
    WITH_ENVELOPES,
    Export,
    Missing,
)
from fedstudy_verify.notes import LOG as OF_LOG
from fedstudy_verify.notes import WITNESS, Checkpoint, Key, Unreadable
from fedstudy_verify.rounds import Links
from fedstudy_verify.told import Told
from fedstudy_verify.tree import Edge


@dataclass
class Verdict:
    """What came out.

    Attributes:
        events: shown and found to be in the log.
        hidden: in the log and not shown to whom the export was made for.
        size: events in the log at the checkpoint.
        witnesses: names of those who cosigned this checkpoint or one of before.
        witnesses_from: says whether their keys were given or stood in the export, whose word that is.
        quorum: how many of them were to be.
        witnessed: up to which size so many cosigned; a tree binds all that it begins with. 0 where no quorum is asked.
        last: the position of the last event shown; -1 for none.
        key: that signed the log; `key_from` says whether it was given or stood in the export.
        rounds: committed rounds shown; each begins with the model that the one before it made.
        executions, approved: answers of sites in them that name an approval; how many follow one that is shown.
        checks: "approvals" (signatures of the sites' decisions), "receipts" (of the nodes) and "executions" (whether
            approvals allow what receipts tell), each "ok", "failed", "not checked" or "none" where none is shown.
        shown, checked: how many of each there are, and how many were checked and hold.
        unchecked: why some were not, the first reasons.
        problems: what is wrong, the first first.
        first_bad_row: {"line", "position"} of the first row that does not hold, counted from 1 and from 0. When a row
            and its hash were both exchanged, "until" says before which position the change is; "file" names the file
            where that is not the log.
    """

    ok: bool = False
    events: int = 0
    hidden: int = 0
    size: int = 0
    checkpoints: int = 0
    last: int = -1
    witnesses: list[str] = field(default_factory=list)
    witnesses_from: str = "export"
    quorum: int = 0
    witnessed: int = 0
    key: str = ""
    key_from: str = "export"
    rounds: int = 0
    executions: int = 0
    approved: int = 0
    checks: dict[str, str] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    first_bad_row: dict[str, Any] | None = None


@dataclass(frozen=True)
class Trust:
    """What the auditor knows from elsewhere: the log's key, witnesses' keys, how many of these must have signed.

    Attributes:
        quorum: 0 for all of the witnesses.

    Raises:
        ValueError: a quorum below 0, or one of witnesses whose keys are not given.
    """

    log: str = ""
    witnesses: Sequence[str] = ()
    quorum: int = 0

    def __post_init__(self) -> None:
        if self.quorum < 0:
            raise ValueError("a quorum is a number of witnesses")
        if self.quorum and not self.witnesses:
            raise ValueError("a quorum needs the keys of the witnesses whom you know")


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
    earlier = [_signed(note, keys.log) for note in _notes(export.content(found, EARLIER))]
    _witnesses([*earlier, last], keys, verdict)
    manifest = _json(MANIFEST, export.content(found, MANIFEST))
    has_documents = isinstance(manifest, dict) and manifest.get("format") != BEFORE_ENVELOPES
    digests = _rows(found, [*earlier, last], verdict, has_documents=has_documents)
    if trust.witnesses and verdict.last >= verdict.witnessed > 0:
        told = f"Event {verdict.last} is shown, and a quorum of witnesses has the first {verdict.witnessed} only."
        verdict.problems.append(told)
    verdict.problems += _manifest(found, manifest, digests)


def _witnesses(checkpoints: Sequence[Checkpoint], keys: _Keys, verdict: Verdict) -> None:
    """Note who cosigned, and up to where there is a quorum: as many as needed cosigned that size or a larger one."""
    reached = {name: item.size for item in checkpoints for name in item.signers(keys.witnesses)}
    verdict.witnesses, verdict.quorum = sorted(reached), keys.quorum
    if len(reached) < keys.quorum:
        verdict.problems.append(f"{len(reached)} witnesses signed the checkpoint, and {keys.quorum} should have.")
    elif keys.quorum:
        verdict.witnessed = sorted(reached.values(), reverse=True)[keys.quorum - 1]


def _keys(data: bytes, trust: Trust, verdict: Verdict) -> _Keys:
    told = _json(KEYS, data)
    if not isinstance(told, dict) or set(told) != {"log", "witnesses", "quorum"}:
        raise Unreadable(f"{KEYS} does not name the keys")
    witnesses, quorum = told["witnesses"], told["quorum"]
    if not isinstance(witnesses, list) or not isinstance(quorum, int) or quorum < 0:
        raise Unreadable(f"{KEYS} does not name the keys")
    if trust.log:
        verdict.key_from = "given"
        if trust.log != told["log"]:
            verdict.problems.append("The export names another key of the log than the one that you trust.")
    log = Key.read(trust.log or str(told["log"]))
    keys = [Key.read(str(text)) for text in (trust.witnesses or witnesses)]
    if log.kind != OF_LOG or any(key.kind != WITNESS for key in keys):
        raise Unreadable("a key is of another kind")
    if trust.witnesses:
        verdict.witnesses_from = "given"
        quorum = trust.quorum or len({key.name for key in keys})
    return _Keys(log, keys, quorum)


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


def _rows(found: Export, checkpoints: Sequence[Checkpoint], verdict: Verdict, *, has_documents: bool) -> dict[str, str]:
    """Read every row into the tree, and compare it with each checkpoint on the way; returns the files' SHA-256."""
    if [item.size for item in checkpoints] != sorted({item.size for item in checkpoints}):
        raise Unreadable("the checkpoints are not in their order")
    linking = _Linking(Judge(export.lines(found, ENVELOPES) if has_documents else None))
    growing, digest = _Growing(checkpoints, verdict, linking.hear), sha256()
    for data, block in read_blocks(export.lines(found, LOG)):
        digest.update(data)
        if verdict.first_bad_row is None:
            growing.take(block)
    growing.end()
    documents = linking.end(verdict)
    return {LOG: digest.hexdigest()} | ({ENVELOPES: documents} if has_documents else {})


class _Linking:
    """What events and documents say of each other, as rows come, of which no more is kept than others must fit to."""

    def __init__(self, judge: Judge) -> None:
        self._links, self._judge = Links(), judge
        self._missing: Missing | None = None

    def hear(self, event: Told) -> None:
        """Take in one event."""
        if self._missing is None:
            facts = event.facts
            self._links.hear(event, facts)
            try:
                self._judge.hear(event, facts)
            except Missing as error:
                self._missing = error  # told at the end: a row may be wrong as well

    def end(self, verdict: Verdict) -> str:
        """Note which row is the first that does not fit, where all rows hold; returns the documents' SHA-256.

        Raises:
            Missing: the file of documents is not there, or damaged.
        """
        if self._missing is not None:
            raise self._missing
        self._judge.end()
        if verdict.first_bad_row is None:
            _judged(self._links, self._judge, verdict)
        return self._judge.out.digest


def _judged(links: Links, judge: Judge, verdict: Verdict) -> None:
    found = judge.out
    verdict.rounds, verdict.executions, verdict.approved = links.rounds, links.executions, links.approved
    verdict.shown, verdict.checked, verdict.unchecked = found.shown, found.checked, found.unchecked
    problems = sorted([*links.problems, *found.problems], key=lambda item: item.position)
    failed = {item.subject for item in problems}
    for subject, count in found.shown.items():
        held = "ok" if found.checked[subject] == count else "not checked"
        verdict.checks[subject] = "failed" if subject in failed else held if count else "none"
    verdict.problems += [item.text for item in problems]
    if problems:
        first = problems[0]
        named = {"file": first.file} if first.file else {}
        verdict.first_bad_row = {"line": first.line, "position": first.position, **named}


class _Growing:
    """The tree as the rows make it, and the checkpoints that it has still to meet."""

    def __init__(self, checkpoints: Sequence[Checkpoint], verdict: Verdict, hear: Callable[[Told], None]) -> None:
        self._edge = Edge()
        self._due = list(checkpoints)
        self._last = checkpoints[-1].size
        self._held = self._line = 0
        self._verdict, self._hear = verdict, hear

    def take(self, block: Block) -> None:
        """Add the lines of a block, up to the first that does not hold."""
        before = self._line
        for position, hashes in block.lines:
            self._line += 1
            if position != self._edge.size:
                self._bad(f"event {self._edge.size} should be here, and this says it is event {position}")
            elif position >= self._last:
                self._bad("this is more than the checkpoint has")
            else:
                self._add(hashes)
            if self._verdict.first_bad_row is not None:
                return
        self._verdict.events += block.events
        self._verdict.hidden += block.hidden
        for item in block.told:
            self._hear(item._replace(line=before + item.line))
        self._verdict.last = max(self._verdict.last, block.last)
        if block.problem:
            self._line += 1
            self._bad(block.problem)

    def end(self) -> None:
        """Note what is not there."""
        if self._verdict.first_bad_row is None and self._edge.size < self._last:
            self._line += 1
            self._bad("it is not there")

    def _add(self, hashes: Hashes) -> None:
        edge, due = self._edge, self._due[0]
        for hash_, level in hashes:
            edge.add(hash_, level)
        if edge.size < due.size:
            return
        if edge.size == due.size and edge.root() == due.root:
            self._held = due.size
            self._verdict.checkpoints += 1
            self._due = self._due[1:] or [due]
            return
        self._verdict.first_bad_row = {"line": self._line, "position": self._held, "until": edge.size}
        told = f"Some row from event {self._held} up to event {edge.size - 1} was exchanged."
        self._verdict.problems.append(told)

    def _bad(self, what: str) -> None:
        self._verdict.first_bad_row = {"line": self._line, "position": self._edge.size}
        self._verdict.problems.append(f"Row {self._line} (event {self._edge.size}): {what}.")


def _manifest(found: Export, told: Any, digests: dict[str, str]) -> list[str]:
    """What is wrong with the list of files and their hashes."""
    form = WITH_ENVELOPES if ENVELOPES in digests else BEFORE_ENVELOPES
    small = {name: sha256(export.content(found, name)).hexdigest() for name in (CHECKPOINT, EARLIER, KEYS)}
    if told != {"format": form, "files": small | digests}:
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
