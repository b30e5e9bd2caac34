"""Whether the signed documents that events name were made by keys that the log knows, and cover what was executed.

A decision of a site must be signed by the people whom it names, with keys that counted at its node just then; a receipt
by its node; and what a receipt tells must be what the statement allows: this script, this dataset, this node, that
time. What cannot be looked at is counted as not checked, and is no fault by itself: logs of before there were such
events, and parts of a log, do not have everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from fedstudy_verify import told
from fedstudy_verify.envelopes import APPROVAL, RECEIPT, REVOCATION, BadLine, Envelope, Envelopes, Unfit
from fedstudy_verify.keys import NODE, PATIENCE, Keys, moment
from fedstudy_verify.rounds import executed
from fedstudy_verify.told import COMMITTED, Problem, Told

POLICY = "standing policy"
FILE = "envelopes.jsonl"
MOST_REASONS = 20
Facts = Mapping[str, Any]


@dataclass
class Judged:
    """What came out, by subject ("approvals", "receipts", "executions").

    Attributes:
        shown, checked: how many there are, and how many of them were checked and hold.
        unchecked: why some were not, a sentence each, the first reasons.
        digest: the SHA-256 of the file of documents.
    """

    shown: dict[str, int] = field(default_factory=lambda: {"approvals": 0, "receipts": 0, "executions": 0})
    checked: dict[str, int] = field(default_factory=lambda: {"approvals": 0, "receipts": 0, "executions": 0})
    unchecked: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    digest: str = ""


@dataclass
class _Decision:
    """A site's statement as its envelope has it; `holds` when all of its signatures do."""

    facts: Facts
    holds: bool


class Judge:
    """Hears events in their order, and takes from the file of documents what they name.

    A receipt is of one round: it is kept no longer than the event of that round, and of those before only a mark.

    Args:
        lines: of that file; None for an export of before there was one.
    """

    def __init__(self, lines: Iterable[bytes] | None) -> None:
        self.out = Judged()
        self._envelopes = None if lines is None else Envelopes(lines)
        self._broken = False
        self._position = 0
        self._keys = Keys()
        self._taken: dict[str, Envelope | None] = {}
        self._receipts: dict[str, Envelope | None] = {}  # of the event at hand
        self._told: set[bytes] = set()  # marks of all receipts that were named
        self._decisions: dict[str, _Decision] = {}
        self._revoked: dict[str, datetime] = {}
        self._scripts: dict[str, str] = {}

    def hear(self, event: Told, facts: Facts) -> None:
        """Take in one event."""
        self._position = event.position
        subject = "receipts" if event.action == COMMITTED else "approvals"
        try:
            match event.action:
                case told.REGISTERED | told.WITHDRAWN:
                    self._keys.note(event, facts)
                case told.PLANNED:
                    self._scripts[event.object] = str(facts.get("version", ""))
                case told.CONSENTED | told.RECEIVED:
                    pass  # of what a dossier tells
                case told.APPROVED:
                    self._decision(event, facts)
                case told.REVOKED:
                    self._revocation(event, facts)
                case _:
                    self._round(event, facts)
        except Unfit as error:
            self._fault(event, subject, f"{error}")
        except (AttributeError, TypeError) as error:
            self._fault(event, subject, f"a document is not written as it should be ({type(error).__name__})")

    def end(self) -> None:
        """Note what the file has beyond what events name."""
        if self._envelopes is None:
            return
        try:
            if not self._broken:
                self._envelopes.end()
        except BadLine as error:
            self._bad_line(error)
        self.out.digest = self._envelopes.digest()

    def _decision(self, event: Told, facts: Facts) -> None:
        if "statement" not in facts:
            return
        name = str(facts["statement"])
        self.out.shown["approvals"] += 1
        found = self._take(f"{APPROVAL}:{name}", facts)
        if found is None:
            self._unchecked(event, "the signed statement is not in the export")
            return
        said = found.facts
        self._decisions[name] = _Decision(said, holds=False)
        _same(
            "the statement is about another",
            study=(said.get("study"), event.study),
            site=(said.get("site"), event.site),
            script=(_in(said, "script", "sha256"), facts.get("sha256")),
            decision=(said.get("meaning"), facts.get("decision")),
        )
        node = str(said.get("node"))
        if not self._keys.tells_of(node):
            self._unchecked(event, f"no event says which keys count at node {node}")
            return
        for signer in said.get("approvers") or [{}]:
            self._signed_by(node, signer, found)
        self._decisions[name].holds = True
        self.out.checked["approvals"] += 1

    def _signed_by(self, node: str, signer: Facts, found: Envelope) -> None:
        """Raises Unfit unless this person signed, by a key that counts under this name and role."""
        key = self._keys.find(node, str(signer.get("key")))
        if key is None:
            raise Unfit(f"{signer.get('name')} signed by a key that did not count at node {node}")
        named = (NODE, None) if signer.get("role") == POLICY else (signer.get("name"), signer.get("role"))
        known = (NODE, None) if key.is_nodes else (key.facts.get("name"), key.facts.get("role"))
        if named != known:
            raise Unfit(f"the key is not one of {signer.get('name')}, {signer.get('role')}")
        if key.facts["key"] not in found.signatures:
            raise Unfit(f"{signer.get('name')} did not sign")
        key.check(found.signatures[key.facts["key"]], found.signed)

    def _revocation(self, event: Told, facts: Facts) -> None:
        name = str(facts.get("statement"))
        self._revoked[name] = moment(event.at)
        if "envelope" not in facts:
            return
        found = self._take(f"{REVOCATION}:{facts['envelope']}", facts)
        if found is None:
            return
        _same("the revocation is of another", statement=(found.facts.get("statement"), name))
        node = str(found.facts.get("node"))
        ours = [(self._keys.find(node, key), signature) for key, signature in found.signatures.items()]
        for key, signature in ours:
            if key is not None:
                key.check(signature, found.signed)
        if self._keys.tells_of(node) and not any(key for key, _ in ours):
            raise Unfit("the revocation is signed by a key that did not count there")

    def _round(self, event: Told, facts: Facts) -> None:
        self._receipts.clear()
        sites = facts.get("sites")
        for row in sites if isinstance(sites, list) else ():
            if isinstance(row, dict) and "receipt" in row:
                self._receipt(event, facts, row)
        self.out.shown["executions"] += sum("receipt" not in row for row in executed(facts))

    def _receipt(self, event: Told, facts: Facts, row: Facts) -> None:
        """Check a site's receipt, and with it what the site executed."""
        self.out.shown["receipts"] += 1
        runs = bool(executed({"sites": [row]}))
        self.out.shown["executions"] += runs
        site = row.get("site")
        try:
            found = self._take_receipt(f"{RECEIPT}:{row['receipt']}", facts)
            if found is None:
                self._unchecked(event, f"the receipt of {site} is not in the export")
                return
            said = found.facts
            holds = self._by_node(event, said, found)
            if runs:
                answer = row.get("update") or row.get("answer") or said.get("update_sha256")
                _same(
                    f"the receipt of {site} is about another",
                    run=(said.get("run"), event.object),
                    round=(said.get("round"), row.get("round", facts.get("round"))),
                    outcome=(said.get("outcome"), "done"),
                    answer=(said.get("update_sha256"), answer),
                    approval=(said.get("approval"), row["approval"]),
                )
        except Unfit as error:
            self._fault(event, "receipts", f"{error}")
            return
        self.out.checked["receipts"] += holds
        if runs:
            self._execution(event, row, said, holds=holds)

    def _by_node(self, event: Told, said: Facts, found: Envelope) -> bool:
        """Whether the node that the receipt names signed it; False where no event tells of its keys. Raises Unfit."""
        node = str(said.get("node"))
        if not self._keys.tells_of(node):
            self._unchecked(event, f"no event says which keys count at node {node}")
            return False
        ended = moment(said.get("ended_at"))
        keys = [self._keys.find(node, name, ended) for name in found.signatures]
        ours = [key for key in keys if key is not None and key.is_nodes]
        if not ours:
            raise Unfit(f"the receipt is signed by a key that did not count for node {node}")
        for key in ours:
            key.check(found.signatures[key.facts["key"]], found.signed)
        return True

    def _execution(self, event: Told, row: Facts, said: Facts, *, holds: bool) -> None:
        """Whether what was executed is what the approval allows."""
        name = str(row["approval"])
        decision = self._decisions.get(name)
        if decision is None:
            self._unchecked(event, f"the approval by which {row.get('site')} ran is not shown before")
            return
        allowed = decision.facts
        try:
            _same(
                f"{row.get('site')} ran under an approval of another",
                decision=(allowed.get("meaning"), "approved"),
                study=(allowed.get("study"), said.get("study")),
                site=(allowed.get("site"), said.get("site")),
                node=(allowed.get("node"), said.get("node")),
                script=(_in(allowed, "script", "sha256"), said.get("script_sha256")),
                dataset=(allowed.get("dataset"), said.get("dataset")),
            )
            planned = self._scripts.get(event.object) or said.get("script_sha256")
            _same(f"{row.get('site')} ran another", script=(said.get("script_sha256"), planned))
            self._in_time(row, said, allowed, self._revoked.get(name))
        except Unfit as error:
            self._fault(event, "executions", f"{error}")
            return
        self.out.checked["executions"] += decision.holds and holds

    def _in_time(self, row: Facts, said: Facts, allowed: Facts, revoked: datetime | None) -> None:
        began = moment(said.get("started_at"))
        if not moment(allowed.get("not_before")) <= began < moment(allowed.get("not_after")):
            raise Unfit(f"{row.get('site')} ran at {said['started_at']}, when its approval did not hold")
        if revoked is not None and began > revoked + PATIENCE:
            raise Unfit(f"{row.get('site')} ran at {said['started_at']}, after its approval was revoked")

    def _take(self, name: str, facts: Facts) -> Envelope | None:
        """The document of that name; None where it is not there, or cannot be looked for any more."""
        if name not in self._taken:
            self._taken[name] = self._next(name, facts)
        return self._taken[name]

    def _take_receipt(self, name: str, facts: Facts) -> Envelope | None:
        """As `_take`. Raises Unfit for one that an earlier event named."""
        if name not in self._receipts:
            mark = sha256(name.encode("utf-8", "surrogatepass")).digest()[:16]
            if mark in self._told:
                raise Unfit("a receipt is named that stands for an earlier round")
            self._receipts[name] = self._next(name, facts)
            self._told.add(mark)
        return self._receipts[name]

    def _next(self, name: str, facts: Facts) -> Envelope | None:
        """The next document of the file, which is to be the one of that name."""
        if self._envelopes is None:
            if "envelope" in facts:
                raise Unfit(f"the export has no {FILE}, and the log says what should be in it")
        elif not self._broken:
            try:
                return self._envelopes.take(name, str(facts.get("envelope", "")))
            except BadLine as error:
                self._bad_line(error)
        return None

    def _bad_line(self, error: BadLine) -> None:
        self._broken = True
        line = self._envelopes.line if self._envelopes else 0
        text = f"Row {line} of {FILE}: {error}."
        self.out.problems.append(Problem(line, self._position, "documents", text, FILE))

    def _fault(self, event: Told, subject: str, what: str) -> None:
        self.out.problems.append(Problem(event.line, event.position, subject, f"Event {event.position}: {what}."))

    def _unchecked(self, event: Told, why: str) -> None:
        if len(self.out.unchecked) < MOST_REASONS:
            self.out.unchecked.append(f"Event {event.position}: {why}.")


def _same(what: str, **pairs: tuple[Any, Any]) -> None:
    """Raises Unfit for the first pair that is not the same twice."""
    for name, (said, wanted) in pairs.items():
        if said != wanted:
            raise Unfit(f"{what} {name}")


def _in(facts: Facts, name: str, part: str) -> Any:
    found = facts.get(name)
    return found.get(part) if isinstance(found, dict) else None
