"""A study's log without a portal: keys, an approval by two people, a run with receipts, and a revocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import canonical
from fedstudy_core.keys import key_id, public_text
from fedstudy_core.receipts import Receipt, sign_receipt
from fedstudy_core.revocation import Revocation, sign_revocation
from fedstudy_core.statement import Statement, payload_of, sign_statement
from fedstudy_core.times import format_time
from fedstudy_core.transparency.leaves import BoundText, Leaf
from fedstudy_verify.verifying import Verdict, verify
from tests.verify.exports import BEGAN, leaf_of, write_export

STUDY, SITE, NODE, DATASET, RUN = (f"{number}0000000-0000-4000-8000-000000000000" for number in range(1, 6))
SCRIPT, FINGERPRINT = "5" * 64, "f" * 64
NODES_KEY, ADMIN, STEWARD, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([at]) * 32) for at in range(30, 34))
PEOPLE = ((ADMIN, "Ada Demo", "site admin"), (STEWARD, "Sam Demo", "data steward"))
SALT = bytes(16)


@dataclass(frozen=True)
class Entry:
    """An event and what it names: pairs of name and envelope."""

    action: str
    object: str
    facts: dict[str, Any]
    documents: Sequence[tuple[str, bytes]] = ()
    study: str = STUDY
    site: str = SITE


@dataclass
class Log:
    """Entries in their order, as an export shows them."""

    entries: list[Entry] = field(default_factory=list)

    def write(self, folder: Path, *, documents: bool = True, hidden: Sequence[int] = ()) -> None:
        """Write the export, of an older portal where it has no documents."""
        lines = [
            line_of(name, envelope)
            for at, entry in enumerate(self.entries)
            for name, envelope in entry.documents
            if at not in hidden
        ]
        write_export(folder, len(self.entries), leaf=self._leaf, envelopes=lines if documents else None, hidden=hidden)

    def verdict(self, folder: Path, **how: Any) -> Verdict:
        self.write(folder, **how)
        return verify(folder)

    def _leaf(self, number: int) -> Leaf:
        entry = self.entries[number]
        return replace(
            leaf_of(number),
            at=BEGAN + timedelta(minutes=10 * number),
            action=entry.action,
            object_id=entry.object,
            study=entry.study,
            site=entry.site,
            detail=BoundText(SALT, canonical.dumps(entry.facts).decode()),
        )


def line_of(name: str, envelope: bytes | None) -> bytes:
    """A line of `envelopes.jsonl`."""
    return b'{"envelope":%s,"name":"%s"}\n' % (envelope or b"null", name.encode())


def at(number: int, minutes: int = 0) -> str:
    """The time of the log's entry of this number, or of some minutes after it."""
    return format_time(BEGAN + timedelta(minutes=10 * number + minutes))


def registered(key: Ed25519PrivateKey, /, name: str = "", role: str = "", **more: Any) -> Entry:
    """That a key counts: a person's, or the node's own."""
    facts = {"key": key_id(key.public_key()), "public": public_text(key.public_key())}
    told = {"kind": "console", "name": name, "role": role} if name else {"kind": "node"}
    return Entry("registry:key:registered", NODE, facts | told | more, study="")


def withdrawn(key: Ed25519PrivateKey) -> Entry:
    return Entry("registry:key:withdrawn", NODE, {"key": key_id(key.public_key())}, study="")


def statement(**changes: Any) -> Statement:
    """The site's decision on the script, by two people."""
    values: dict[str, Any] = {
        "v": 1, "study": STUDY, "site": SITE, "node": NODE, "script": {"sha256": SCRIPT, "size": 9},
        "dataset": {"id": DATASET, "fingerprint": FINGERPRINT}, "run_config": {}, "rounds": 9,
        "privacy": {"min_sites": 1}, "outputs": {"phases": ["train"], "max_bytes": 9},
        "limits": {"wall_s": 9, "memory_mb": 9}, "sandbox_min": "S0", "meaning": "approved",
        "approvers": [{"key": key_id(key.public_key()), "name": name, "role": role} for key, name, role in PEOPLE],
        "nonce": "n" * 20, "sequence": 1, "revocation_epoch": 0,
        "issued_at": at(0), "not_before": at(0), "not_after": at(1000),
    }  # fmt: skip
    return Statement.model_validate(values | changes)


def recorded(said: Statement, envelope: bytes | None = None, **changes: Any) -> Entry:
    """That the portal took a statement, signed by both where no envelope is given."""
    data = envelope or sign_statement(said, ADMIN, STEWARD)
    name = canonical.digest(payload_of(said))
    facts = {
        "statement": name, "envelope": sha256(data).hexdigest(), "sha256": SCRIPT, "decision": said.meaning
    }  # fmt: skip
    facts = {name: value for name, value in (facts | changes).items() if value is not None}
    return Entry("scripts:approval:recorded", "a", facts, [(f"approval:{name}", data)])


def revoked(said: Statement, key: Ed25519PrivateKey = NODES_KEY) -> Entry:
    """That the site took its statement back, by its signed word."""
    name = canonical.digest(payload_of(said))
    data = sign_revocation(Revocation(statement=name, node=NODE, reason="", revoked_at=at(0)), [key])
    digest = sha256(data).hexdigest()
    facts = {"statement": name, "envelope": digest, "reason": ""}
    return Entry("scripts:approval:revoked", "a", facts, [(f"revocation:{digest}", data)])


def receipt(number: int, began: str, said: Statement, **changes: Any) -> Receipt:
    """What the node says it did in a round."""
    values: dict[str, Any] = {
        "run": RUN, "flower_run": "1", "round": number, "phase": "train", "study": STUDY, "site": SITE, "node": NODE,
        "outcome": "done", "script_sha256": SCRIPT, "approval": canonical.digest(payload_of(said)),
        "dataset": {"id": DATASET, "fingerprint": FINGERPRINT}, "update_sha256": "d" * 64, "examples": 9,
        "started_at": began, "ended_at": began, "sandbox": "S1", "agent_version": "1", "sequence": number,
    }  # fmt: skip
    return Receipt.model_validate(values | changes)


def committed(number: int, *made: Receipt, key: Ed25519PrivateKey = NODES_KEY, **row: Any) -> Entry:
    """A round with the receipts of the sites that answered."""
    rows, documents = [], []
    for item in made:
        data = sign_receipt(item, key)
        digest = sha256(data).hexdigest()
        documents.append((f"receipt:{digest}", data))
        facts = {"site": "Demo Hospital", "state": "done", "round": number, "receipt": digest, "update": "d" * 64}
        rows.append(facts | {"approval": item.approval} | row)
    facts = {"round": number, "model_in": f"m{number - 1}", "model_out": f"m{number}", "sites": rows}
    return Entry("runs:round:committed", RUN, facts, documents, site="")


def planned(script: str = SCRIPT) -> Entry:
    return Entry("runs:run:created", RUN, {"version": script}, site="")


def keys() -> list[Entry]:
    """The node's own key, and those of the people who sign there."""
    return [registered(NODES_KEY), *(registered(key, name, role) for key, name, role in PEOPLE)]


def whole() -> Log:
    """Three keys, an approval, a run of three rounds, and at its end a revocation."""
    said = statement()
    rounds = [committed(number, receipt(number, at(4 + number), said)) for number in (1, 2, 3)]
    return Log([*keys(), recorded(said), planned(), *rounds, revoked(said)])
