"""Signed documents beside the log: what holds, what is not checked, and which row is named for what does not hold."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedstudy_core import canonical, dsse
from fedstudy_core.statement import PAYLOAD_TYPE, payload_of, sign_statement
from fedstudy_verify.cli import as_text
from fedstudy_verify.envelopes import RECEIPT, Envelope, Envelopes
from fedstudy_verify.verifying import verify
from tests.factories.passkeys import KINDS, PRESENT, VERIFIED, Kind, SoftPasskey, base64url
from tests.verify import study
from tests.verify.altering import altered, first_of
from tests.verify.exports import write_manifest
from tests.verify.study import ADMIN, NODES_KEY, STEWARD, STRANGER, Entry, Log

WHOLE = {"approvals": 1, "receipts": 3, "executions": 3}
OK = dict.fromkeys(WHOLE, "ok")
UNCHECKED = dict.fromkeys(WHOLE, "not checked")
APPROVAL, FIRST, SECOND, LAST, REVOCATION = 3, 5, 6, 7, 8  # entries of the whole log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "export"


def exchanged(log: Log, at: int, *entries: Entry) -> Log:
    """The log with other entries in place of one."""
    return Log([*log.entries[:at], *entries, *log.entries[at + 1 :]])


def test_what_people_and_nodes_signed_holds(folder: Path) -> None:
    found = study.whole().verdict(folder)
    assert (found.ok, found.problems, found.unchecked) == (True, [], [])
    assert (found.checks, found.shown, found.checked) == (OK, WHOLE, WHOLE)
    assert "ok: nodes' receipts: the signatures of 3 of 3." in as_text(found)


def test_an_export_of_before_says_that_nothing_was_checked(folder: Path) -> None:
    """Nor does the command take it where everything must have been checked."""
    log = study.whole()
    old = [{name: value for name, value in entry.facts.items() if name != "envelope"} for entry in log.entries]
    entries = [replace(entry, facts=facts) for entry, facts in zip(log.entries, old, strict=True)]
    found = Log(entries).verdict(folder, documents=False)
    assert (found.ok, found.checks) == (True, UNCHECKED)
    assert found.checked == dict.fromkeys(WHOLE, 0)
    assert found.unchecked[0] == f"Event {APPROVAL}: the signed statement is not in the export."
    assert "not checked: sites' decisions: the signatures of 0 of 1." in as_text(found)


def test_documents_cannot_be_left_out_where_the_log_names_them(folder: Path) -> None:
    found = study.whole().verdict(folder, documents=False)
    assert (
        found.problems[0]
        == f"Event {APPROVAL}: the export has no envelopes.jsonl, and the log says what should be in it."
    )
    assert found.first_bad_row == {"line": APPROVAL + 1, "position": APPROVAL}


def test_what_is_signed_by_keys_that_are_not_shown_is_not_checked(folder: Path) -> None:
    found = study.whole().verdict(folder, hidden=(0, 1, 2))
    assert (found.ok, found.checks, found.checked) == (True, UNCHECKED, dict.fromkeys(WHOLE, 0))
    assert found.unchecked[0] == f"Event {APPROVAL}: no event says which keys count at node {study.NODE}."


def test_what_the_portal_does_not_have_is_not_checked(folder: Path) -> None:
    log = study.whole()
    names = [(name, b"") for name, _ in log.entries[FIRST].documents]
    found = exchanged(log, FIRST, replace(log.entries[FIRST], documents=names)).verdict(folder)
    assert (found.ok, found.checked) == (True, {"approvals": 1, "receipts": 2, "executions": 2})
    assert found.checks == {"approvals": "ok", "receipts": "not checked", "executions": "not checked"}


def signed_by(*keys: Any) -> Entry:
    said = study.statement()
    return study.recorded(said, sign_statement(said, *keys))


def ran(number: int = 1, *, key: Any = NODES_KEY, row: dict[str, Any] | None = None, **changes: Any) -> Entry:
    """The round of that number, with a receipt that tells something else."""
    made = study.receipt(number, study.at(4 + number), study.statement(), **changes)
    return study.committed(number, made, key=key, **(row or {}))


def under(**changes: Any) -> Log:
    """A log whose approval says something else, which the rounds ran under nevertheless."""
    said = study.statement(**changes)
    rounds = [study.committed(1, study.receipt(1, study.at(5), said))]
    return Log([*study.keys(), study.recorded(said), study.planned(), *rounds])


OTHER = "9" * 64
FORGED: dict[str, tuple[Callable[[Log], Log], int, str]] = {
    "one of two people did not sign": (
        lambda log: exchanged(log, APPROVAL, signed_by(ADMIN)), APPROVAL, "Sam Demo did not sign"
    ),
    "a signature of another statement": (
        lambda log: exchanged(log, APPROVAL, study.recorded(study.statement(), copied())), APPROVAL, "does not hold"
    ),
    "a key under another name": (
        lambda log: exchanged(log, 1, study.registered(ADMIN, "Eve Demo", "site admin")),
        APPROVAL, "not one of Ada Demo",
    ),
    "a key in another role": (
        lambda log: exchanged(log, 2, study.registered(STEWARD, "Sam Demo", "site admin")),
        APPROVAL, "not one of Sam Demo",
    ),
    "a key that counts no more": (
        lambda log: Log([*log.entries[:APPROVAL], study.withdrawn(ADMIN), *log.entries[APPROVAL:]]),
        APPROVAL + 1, "did not count",
    ),
    "a key that counts only later": (
        lambda log: Log([log.entries[0], log.entries[2], log.entries[3], log.entries[1], *log.entries[4:]]),
        2, "did not count",
    ),
    "a key that is not what it says": (
        lambda log: exchanged(log, 1, study.registered(ADMIN, "Ada Demo", "site admin", key=OTHER)), 1, "another one"
    ),
    "a decision on another script": (
        lambda log: exchanged(log, APPROVAL, study.recorded(study.statement(), sha256=OTHER)),
        APPROVAL, "another script",
    ),
    "another decision": (
        lambda log: exchanged(log, APPROVAL, study.recorded(study.statement(), decision="rejected")),
        APPROVAL, "another decision",
    ),
    "a receipt by somebody else": (
        lambda log: exchanged(log, SECOND, ran(2, key=STRANGER)), SECOND, "did not count for node"
    ),
    "a receipt by a person at the node": (
        lambda log: exchanged(log, SECOND, ran(2, key=ADMIN)), SECOND, "did not count for node"
    ),
    "a receipt of another run": (lambda log: exchanged(log, FIRST, ran(run="r")), FIRST, "another run"),
    "a receipt of another round": (
        lambda log: exchanged(log, LAST, ran(3, round=2)), LAST, "another round"
    ),
    "a receipt of another answer": (
        lambda log: exchanged(log, FIRST, ran(update_sha256=OTHER)), FIRST, "another answer"
    ),
    "a receipt under another approval": (
        lambda log: exchanged(
            log, FIRST, ran(row={"approval": canonical.digest(payload_of(study.statement()))}, approval=OTHER)
        ),
        FIRST, "another approval",
    ),
    "a receipt of a refusal": (lambda log: exchanged(log, FIRST, ran(outcome="refused")), FIRST, "another outcome"),
    "an execution of another script": (
        lambda log: exchanged(log, FIRST, ran(script_sha256=OTHER)), FIRST, "under an approval of another script"
    ),
    "an execution on another dataset": (
        lambda log: exchanged(log, FIRST, ran(dataset={"id": study.DATASET, "fingerprint": OTHER})),
        FIRST, "another dataset",
    ),
    "an execution for another study": (
        lambda log: exchanged(log, FIRST, ran(study=study.DATASET)), FIRST, "under an approval of another study"
    ),
    "a run of another script": (lambda log: exchanged(log, 4, study.planned(OTHER)), FIRST, "ran another script"),
    "an execution under a rejection": (lambda _: under(meaning="rejected"), FIRST, "another decision"),
    "an execution after the approval's end": (lambda _: under(not_after=study.at(5)), FIRST, "did not hold"),
    "an execution before the approval's beginning": (lambda _: under(not_before=study.at(6)), FIRST, "did not hold"),
    "an execution after the revocation": (
        lambda log: Log([*log.entries[:5], log.entries[REVOCATION], ran(2), *log.entries[7:8]]),
        SECOND, "after its approval was revoked",
    ),
    "a revocation by nobody at the node": (
        lambda log: exchanged(log, REVOCATION, study.revoked(study.statement(), STRANGER)),
        REVOCATION, "signed by a key that did not count",
    ),
}  # fmt: skip


def copied() -> bytes:
    """The statement under signatures that were made for another one."""
    other = json.loads(sign_statement(study.statement(rounds=1), ADMIN, STEWARD))
    made = {item["keyid"]: base64.b64decode(item["sig"]) for item in other["signatures"]}
    return dsse.assemble(PAYLOAD_TYPE, payload_of(study.statement()), made)


@pytest.mark.parametrize("name", FORGED)
def test_what_does_not_fit_is_named_by_its_row(name: str, folder: Path) -> None:
    """Though somebody who owns the log and its key wrote it: the tree and every signature of the log hold."""
    forge, position, what = FORGED[name]
    found = forge(study.whole()).verdict(folder)
    assert not found.ok
    assert found.problems[0].startswith(f"Event {position}: "), found.problems
    assert what in found.problems[0], found.problems
    assert found.first_bad_row == {"line": position + 1, "position": position}
    assert "failed" in found.checks.values()


def test_a_receipt_signed_just_before_its_key_was_replaced_holds(folder: Path) -> None:
    log = study.whole()
    replaced = [study.withdrawn(NODES_KEY), study.registered(STRANGER)]
    before = study.receipt(2, study.at(FIRST, 9), study.statement())
    entries = [*log.entries[: FIRST + 1], *replaced, study.committed(2, before), ran(3, key=STRANGER)]
    assert Log(entries).verdict(folder).problems == []
    late = study.receipt(2, study.at(FIRST + 2), study.statement())
    entries[FIRST + 3] = study.committed(2, late)
    found = Log(entries).verdict(folder)
    assert found.first_bad_row == {"line": FIRST + 4, "position": FIRST + 3}


def by_passkey(device: SoftPasskey, **lies: Any) -> Log:
    """A log whose approval one person signed by a passkey."""
    entry = device.entry()
    facts = {
        "kind": "passkey",
        "public": entry.key,
        "rp_id": entry.rp_id,
        "origin": entry.origin,
        "synced": entry.synced,
    }
    key = study.registered(ADMIN, entry.name, entry.role, **facts, key=entry.id)
    said = study.statement(approvers=[{"key": entry.id, "name": entry.name, "role": entry.role}])
    to_sign = dsse.pre_authentication(PAYLOAD_TYPE, payload_of(said))
    signature = device.assertion(to_sign, **lies).to_bytes()
    envelope = dsse.assemble(PAYLOAD_TYPE, payload_of(said), {entry.id: signature})
    return Log([study.registered(NODES_KEY), key, study.recorded(said, envelope)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_passkeys_signature_holds(kind: Kind, folder: Path) -> None:
    found = by_passkey(SoftPasskey(kind)).verdict(folder)
    assert (found.problems, found.checks["approvals"]) == ([], "ok")


@pytest.mark.parametrize(
    "lies",
    [
        {"client": {"origin": "https://portal.example"}},
        {"client": {"type": "webauthn.create"}},
        {"client": {"challenge": base64url(b"another statement")}},
        {"client": {"crossOrigin": True}},
        {"client": {"topOrigin": "https://portal.example"}},
        {"rp_id": "portal.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
    ],
    ids=str,
)
def test_a_passkeys_signature_of_another_ceremony_does_not(lies: dict[str, Any], folder: Path) -> None:
    found = by_passkey(SoftPasskey(), **lies).verdict(folder)
    assert found.first_bad_row == {"line": 3, "position": 2}
    assert "does not hold" in found.problems[0]


def test_the_command_is_strict_where_it_is_asked_to_be(folder: Path) -> None:
    study.whole().write(folder, hidden=(0, 1, 2))
    command = [sys.executable, "-m", "fedstudy_verify", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["checks"]) == (0, UNCHECKED)
    done = subprocess.run([*command, "--strict"], capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (1, False)


def test_a_thousand_alterations_of_documents_are_found_and_the_first_bad_row_named(folder: Path) -> None:
    said = study.statement()
    rounds = [study.committed(number, study.receipt(number, study.at(5), said)) for number in range(1, 40)]
    Log([*study.keys(), study.recorded(said), study.planned(), *rounds]).write(folder)
    assert verify(folder).ok
    file = folder / "envelopes.jsonl"
    rows = file.read_bytes().splitlines(keepends=True)
    chance = random.Random(20260602)
    kinds = set()
    for _ in range(1_000):
        kind, left, first = altered(rows, chance)
        first = first_of(kind, left, first, rows)
        file.write_bytes(b"".join(left))
        if chance.random() < 0.5:  # also by somebody who writes the list of files anew
            write_manifest(folder)
        found = verify(folder)
        named = found.first_bad_row or {}
        assert not found.ok, (kind, first)
        assert (named.get("file"), named.get("line")) == ("envelopes.jsonl", first + 1), (kind, found.problems)
        kinds.add(kind)
    assert kinds == {"edit", "delete", "insert", "reorder", "truncate"}


def test_a_receipt_stands_for_one_round(folder: Path) -> None:
    log = study.whole()
    again = replace(log.entries[FIRST], object="9" * 8 + log.entries[FIRST].object[8:], documents=())
    found = Log([*log.entries, again]).verdict(folder)
    assert found.problems == [f"Event {len(log.entries)}: a receipt is named that stands for an earlier round."]
    assert (found.checks["receipts"], found.shown["receipts"]) == ("failed", 4)


def test_no_receipt_is_kept_longer_than_its_event(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[Envelope] = weakref.WeakSet()
    most = []
    taken = Envelopes.take

    def take(self: Envelopes, name: str, digest: str = "") -> Envelope | None:
        found = taken(self, name, digest)
        if found is not None and found.kind == RECEIPT:
            alive.add(found)
            most.append(len(alive))
        return found

    monkeypatch.setattr(Envelopes, "take", take)
    monkeypatch.setattr(Envelope, "__hash__", object.__hash__)
    assert study.whole().verdict(folder).ok
    assert most == [1, 1, 1]
