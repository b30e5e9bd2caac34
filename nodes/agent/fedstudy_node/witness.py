"""The node as a witness of the portal's log: what it saw of it last, and what it does with the next checkpoint.

It pins the log's key, remembers the newest checkpoint that went on from the one before, and cosigns it. What it saw is
on disk before it signs. A checkpoint that contradicts it is refused and kept as evidence; only people of the site can
then let the node follow another log (`fedstudy-node witness accept`).
"""

import base64
import binascii
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import keys
from fedstudy_core.errors import Refusal
from fedstudy_core.transparency.checkpoints import Checkpoint
from fedstudy_core.transparency.notes import WITNESS, NoteKey, cosign
from fedstudy_core.transparency.witnessing import Held, follow, witness_name
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, now_text, write_private
from fedstudy_node.journal import Fact
from fedstudy_node.ledger import Ledger
from fedstudy_node.portal import Portal

log = structlog.get_logger()


@dataclass(frozen=True)
class Refused:
    """A checkpoint that was not cosigned: why, since when, the note, the file of evidence, whether the portal knows."""

    code: str
    detail: str
    at: str
    offered: str
    evidence: str
    told: bool = False


@dataclass(frozen=True)
class Memory:
    """What witness/seen.json holds.

    Attributes:
        key: the log's, pinned (name+id+key); empty before the first look.
        note: the newest checkpoint that went on from the one before.
        cosigned: the largest size whose cosignature the portal took.
        at: when the log was last found to be as it should.
        refused: what it shows now and should not; None when all is well.
    """

    key: str = ""
    note: str = ""
    cosigned: int = 0
    at: str = ""
    refused: Refused | None = None

    @property
    def held(self) -> Held | None:
        """The checkpoint to hold the log to. Raises Refusal (E_NOTE_KEY)."""
        return Held(NoteKey.parse(self.key), self.note) if self.note else None

    @property
    def size(self) -> int:
        """Events in the log as it was seen last; 0 before. Raises Refusal (E_NOTE, E_NOTE_KEY, E_NOTE_SIGNATURE)."""
        return self.held.checkpoint.size if self.held else 0

    def told(self) -> dict[str, Any]:
        """Return it as facts for console and page."""
        facts = {"origin": self.key.partition("+")[0], "key": self.key, "size": self.size, "at": self.at}
        return facts | {"cosigned": self.cosigned, "refused": asdict(self.refused) if self.refused else None}


class Witness:
    """One node's memory of the log. The agent looks; the console shows and accepts."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._folder = home.path / "witness"

    def memory(self) -> Memory:
        """Return what was seen. Raises NodeError (E_HOME): who cannot read what they saw must not sign."""
        file = self._folder / "seen.json"
        try:
            raw = json.loads(file.read_bytes())
            refused = Refused(**raw.pop("refused")) if raw.get("refused") else None
            return Memory(**(raw | {"refused": refused}))
        except FileNotFoundError:
            return Memory()
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise NodeError("E_HOME", f"{file} cannot be read: {type(error).__name__}.") from error

    def key(self) -> Ed25519PrivateKey:
        """Return the key that cosigns, made when it is first needed; it stays when the node's other keys change."""
        file = self._home.path / "keys/witness.pem"
        if not file.exists():
            write_private(file, keys.to_pem(keys.generate(), None))
        return keys.from_pem(file.read_bytes(), None)

    def public_key(self) -> str:
        """Return the key by which this node's cosignatures are verified (name+id+key)."""
        name = witness_name(self._home.enrolled().node)
        return str(NoteKey.of(name, WITNESS, self.key().public_key()))

    def pin(self, key: str, ledger: Ledger) -> None:
        """Hold the log to this key from now on, where none is pinned yet. Raises Refusal (E_NOTE_KEY)."""
        pinned = NoteKey.parse(key)
        with self._home.changing():
            if not self.memory().key:
                self._save(Memory(key=str(pinned)))
                ledger.journal.append("log_pinned", pinned.name, {"key": str(pinned)})

    def look(self, ledger: Ledger, portal: Portal) -> bool:
        """Fetch the newest checkpoint and cosign it; returns whether the log had grown.

        Raises:
            Refusal: as `follow`; what was offered is kept, noted in the journal and told to the portal first.
            NodeError: E_PORTAL, E_HOME.
        """
        before = self.memory()
        answer = portal.log(before.size)
        if not before.key:
            self.pin(str(answer.get("key", "")), ledger)
            before = self.memory()
        offered = str(answer.get("checkpoint", ""))
        try:
            new = follow(NoteKey.parse(before.key), before.held, offered, _hashes(answer))
        except Refusal as refusal:
            self._refuse(before, refusal, answer, ledger)
            self._tell(portal)
            raise
        self._remember(before, offered, ledger)
        if before.cosigned < new.size:
            self._hand_in(new, portal)
        return before.size < new.size

    def accept(self, key: NoteKey, ledger: Ledger, *, why: Mapping[str, str]) -> None:
        """Follow another log from now on, as people of the site decided. What was seen of the old one is kept."""
        with self._home.changing():
            old = self.memory()
            self._keep("left", asdict(old))
            self._save(Memory(key=str(key)))
            detail: dict[str, Fact] = {"key": str(key), "old_key": old.key, "old_size": old.size, **why}
            ledger.journal.append("log_accepted", key.name, detail)

    def _remember(self, before: Memory, note: str, ledger: Ledger) -> None:
        """Keep the checkpoint, which lasts before anything is signed."""
        with self._home.changing():
            self._check_unchanged(before)
            if before.refused:
                ledger.journal.append("log_holds_again", before.key.partition("+")[0], {"after": before.refused.code})
            self._save(replace(before, note=note, at=now_text(), refused=None))

    def _hand_in(self, checkpoint: Checkpoint, portal: Portal) -> None:
        name = witness_name(self._home.enrolled().node)
        signature = cosign(checkpoint.text, name, self.key(), at=int(time.time()))
        portal.add_cosignature(key=self.public_key(), size=checkpoint.size, cosignature=str(signature))
        with self._home.changing():
            now = self.memory()
            if now.key.partition("+")[0] == checkpoint.origin:
                self._save(replace(now, cosigned=max(now.cosigned, checkpoint.size)))

    def _refuse(self, before: Memory, refusal: Refusal, answer: Mapping[str, Any], ledger: Ledger) -> None:
        """Keep what contradicts what was seen, once for each code until the log is again as it should."""
        if before.refused and before.refused.code == refusal.code:
            return
        with self._home.changing():
            self._check_unchanged(before)
            facts: dict[str, Any] = {"code": refusal.code, "detail": refusal.detail, "at": now_text()}
            file = self._keep("refused", {**facts, "key": before.key, "seen": before.note, "answer": dict(answer)})
            offered = str(answer.get("checkpoint", ""))[:4000]
            refused = Refused(**facts, offered=offered, evidence=file.name, told=False)
            self._save(replace(before, refused=refused))
            detail: dict[str, Fact] = {
                "code": refusal.code,
                "seen": before.size,
                "evidence": file.name,
                "sha256": _digest(file),
            }
            ledger.journal.append("log_refused", before.key.partition("+")[0], detail)
        log.error("log_refused", code=refusal.code, detail=refusal.detail, evidence=str(file))

    def _tell(self, portal: Portal) -> None:
        """Tell the portal what was refused, if it does not know yet."""
        refused = self.memory().refused
        if refused is None or refused.told:
            return
        portal.tell_log_refusal(code=refused.code, seen=self.memory().note, offered=refused.offered)
        with self._home.changing():
            now = self.memory()
            if now.refused == refused:
                self._save(replace(now, refused=replace(refused, told=True)))

    def _check_unchanged(self, before: Memory) -> None:
        if self.memory() != before:
            raise NodeError("E_STATE", "What this node holds the log to was changed meanwhile.")

    def _keep(self, kind: str, facts: Mapping[str, Any]) -> Path:
        file = self._folder / f"{kind}-{now_text().replace(':', '')}-{time.monotonic_ns()}.json"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_private(file, json.dumps(facts, indent=1).encode())
        return file

    def _save(self, memory: Memory) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_private(self._folder / "seen.json", json.dumps(asdict(memory), indent=1).encode())


def _hashes(answer: Mapping[str, Any]) -> list[bytes]:
    told = answer.get("consistency")
    try:
        return [base64.b64decode(str(text), validate=True) for text in told] if isinstance(told, list) else []
    except binascii.Error as error:
        raise NodeError("E_PORTAL", "The portal's proof cannot be read.") from error


def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()
