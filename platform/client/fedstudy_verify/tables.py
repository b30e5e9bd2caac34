"""Whether what a dossier tells of rounds, approvals, consents and script is what its log tells, and what sites signed.

The log binds the dossier as the portal wrote it, when somebody asked for it. The log's events are from when things
happened, and people signed approvals and consents themselves: a dossier that tells another story was made up later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from fedstudy_verify.envelopes import APPROVAL, CONSENT, BadLine, Unfit, read_envelope
from fedstudy_verify.export import LOG, Export, content, lines, opened
from fedstudy_verify.rows import Rows
from fedstudy_verify.told import APPROVED, COMMITTED, CONSENTED, RECEIVED, Told

ROUNDS, APPROVALS, PLAN, BUNDLE = "run/rounds.json", "approvals/approvals.json", "run/plan.json", "script/bundle.fab"
CONSENTS = "pooling/consents.json"
OF_CONSENTS = (CONSENTED, RECEIVED)
Facts = Mapping[str, Any]


@dataclass
class Tables:
    """What came out.

    Attributes:
        shown, checked: rounds, approvals and consents in the dossier, and how many of them the log tells of, too.
        unchecked, problems: a sentence each.
    """

    shown: int = 0
    checked: int = 0
    unchecked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def compare(dossier: Path, run: str, names: Iterable[str]) -> Tables:
    """Hold a run's dossier to its own part of the log, which holds.

    Args:
        names: of the files that it should have.

    Raises:
        Missing: a file cannot be read.
    """
    out, log = Tables(), _events(dossier)
    rounds = {int(event.facts.get("round", -1)): event for event in log if _commits(event, run)}
    decisions = {str(event.facts.get("statement")): event for event in log if event.action == APPROVED}
    consents = {(event.action, str(event.facts.get("consent"))): event for event in log if event.action in OF_CONSENTS}
    files = opened(dossier)
    for name in sorted({ROUNDS, APPROVALS, CONSENTS}.intersection(names)):
        try:
            rows = json.loads(content(files, name))
            if name == ROUNDS:
                _rounds(out, rows, rounds)
            elif name == APPROVALS:
                _approvals(out, rows, decisions, files)
            else:
                _consents(out, rows, consents, files)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            out.problems.append(f"{name} is not written as it should be.")
    return out


def _events(dossier: Path) -> list[Told]:
    rows = Rows()
    for line in lines(opened(dossier / "log"), LOG):
        for _ in rows.read(line):
            pass
    return rows.told


def _commits(event: Told, run: str) -> bool:
    return event.action == COMMITTED and event.object == run and isinstance(event.facts.get("round"), int)


def _rounds(out: Tables, rows: list[Facts], told: Mapping[int, Told]) -> None:
    """Models and receipts of each round. One without sites was taken over from another run."""
    logged = _receipts(told)
    committed = {row["number"]: row for row in rows if row.get("state") == "committed" and row.get("sites")}
    for number in sorted(told.keys() - committed.keys()):
        at = told[number].position
        out.problems.append(f"{ROUNDS} lacks round {number}, of which event {at} of the log tells.")
    for number, row in committed.items():
        out.shown += 1
        event = told.get(number)
        if event is None:
            out.unchecked.append(f"{ROUNDS}: no event that is shown tells of round {number}.")
            continue
        wrong = [name for name in ("model_in", "model_out") if (row[name] or "") != (event.facts.get(name) or "")]
        if not logged.get(number, set()) <= {part.get("receipt") for part in row["sites"]}:
            wrong.append("receipts")
        if wrong:
            out.problems.append(
                f"{ROUNDS}: round {number} has other {wrong[0]} than event {event.position} of the log."
            )
        else:
            out.checked += 1


def _receipts(told: Mapping[int, Told]) -> Mapping[int, set[str]]:
    """Of each round the receipts that the log names; a round's tests may be told with the round after it."""
    found: dict[int, set[str]] = {}
    for number, event in told.items():
        for part in event.facts.get("sites", ()):
            if "receipt" in part:
                found.setdefault(part.get("round", number), set()).add(part["receipt"])
    return found


def _approvals(out: Tables, rows: list[Facts], told: Mapping[str, Told], files: Export) -> None:
    """Who decided what about which script, beside what they signed."""
    script = json.loads(content(files, PLAN))["script"]["sha256"]
    if sha256(content(files, BUNDLE)).hexdigest() != script:
        out.problems.append(f"{BUNDLE} is not the script that {PLAN} names.")
    for row in rows:
        said = _statement(APPROVAL, content(files, row["file"]), row["statement"])
        signers = [{name: item[name] for name in ("name", "role", "key")} for item in said["approvers"]]
        signed = {
            "decision": (row["meaning"], said["meaning"]),
            "script": (script, said["script"]["sha256"]),
            "signers": (row["signers"], signers),
            "end": (row["not_after"], said["not_after"]),
        }
        logged = _Logged("decision", told.get(row["statement"]), {"decision": row["meaning"], "sha256": script})
        _hold(out, APPROVALS, row["site"], signed, [logged])


def _consents(out: Tables, rows: list[Facts], told: Mapping[tuple[str, str], Told], files: Export) -> None:
    """Who let which rows go to a pool node, beside what they signed, and how many came, which the log alone tells."""
    for row in rows:
        name = str(row["statement"])
        said = _statement(CONSENT, content(files, f"pooling/{name[:16]}.dsse.json"), name)
        signers = [{part: item[part] for part in ("name", "role")} for item in said["approvers"]]
        signed = {
            "level": (row["level"], said["level"]),
            "columns": (row["columns"], said["columns"]),
            "signers": (row["signers"], signers),
            "end": (row["not_after"], said["not_after"]),
            "retention": (row["retention_until"], said["retention_until"]),
        }
        given = _Logged("consent", told.get((CONSENTED, name)), {"site_name": row["site"], "level": row["level"]})
        came = _Logged("pooled rows", told.get((RECEIVED, name)), {"rows": row["rows"]})
        _hold(out, CONSENTS, row["site"], signed, [given, came])


@dataclass(frozen=True)
class _Logged:
    """What an event of the log is about, the event where one is shown, and what it should say."""

    about: str
    event: Told | None
    shown: Facts

    def differs_at(self) -> int | None:
        """The position of an event that says something else."""
        if self.event is None or self.shown.items() <= self.event.facts.items():
            return None
        return self.event.position


def _hold(out: Tables, table: str, site: str, signed: Mapping[str, tuple[Any, Any]], logged: Sequence[_Logged]) -> None:
    """Hold a row to what was signed (by name what is shown and what was), and to events of the log."""
    out.shown += 1
    wrong = [name for name, (shown, said) in signed.items() if shown != said]
    other = next((at for item in logged if (at := item.differs_at()) is not None), None)
    missing = next((item.about for item in logged if item.event is None), "")
    if wrong:
        out.problems.append(f"{table}: of {site} another {wrong[0]} was signed than is shown.")
    elif other is not None:
        out.problems.append(f"{table}: event {other} of the log tells otherwise of {site}.")
    elif missing:
        out.unchecked.append(f"{table}: no event that is shown tells of the {missing} of {site}.")
    else:
        out.checked += 1


def _statement(kind: str, envelope: bytes, name: str) -> Facts:
    """What was signed, under its own name. Raises ValueError."""
    try:
        found = read_envelope(kind, json.loads(envelope))
        if found.identity != name:
            raise ValueError("another statement")
        return found.facts
    except (BadLine, Unfit) as error:
        raise ValueError("no statement") from error
