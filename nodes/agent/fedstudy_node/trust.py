"""Whose signature counts at this node: the people that this hospital pinned, each with a key, a name and a role.

Nobody but the hospital adds to them: a console key is made on the console; a passkey is registered on the node's own
page with a one-time code that only the console prints.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from fedstudy_core import keys
from fedstudy_core.approvers import Approver, ApproverKey, Role, by_id
from fedstudy_core.errors import FieldProblem, Invalid, Refusal
from fedstudy_core.statement import STANDING_POLICY
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, now_text, write_private

SHORTEST_PASSPHRASE = 8
CODE_LIFE = timedelta(minutes=10)
CODE_TRIES = 5
_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_CODE_LENGTH = 12
_WRONG_CODE = (
    "This code does not work here: it was mistyped or used, was tried too often, or is older than 10 minutes."
    ' Check it, or have another printed: fedstudy-node trust invite "Your Name".'
)


@dataclass
class Trust:
    """The approvers of a node (trust.json), and the invitation to register the next passkey."""

    home: Home
    _read: tuple[bytes, tuple[ApproverKey, ...]] | None = None
    _people: tuple[tuple[ApproverKey, ...], Mapping[str, Approver]] | None = None
    _node: tuple[bytes, Mapping[str, Approver]] | None = None
    _signers: tuple[Mapping[str, Approver], Mapping[str, Approver], Mapping[str, Approver]] | None = None

    def all(self) -> tuple[ApproverKey, ...]:
        """Return the approvers, as the file says now. Raises NodeError (E_HOME)."""
        file = self.home.path / "trust.json"
        try:
            content = file.read_bytes()
            if self._read is None or self._read[0] != content:
                raw = json.loads(content)["approvers"]
                self._read = (content, tuple(ApproverKey.model_validate(entry) for entry in raw))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NodeError("E_HOME", f"{file} cannot be read: {type(error).__name__}.") from error
        return self._read[1]

    def approvers(self) -> Mapping[str, Approver]:
        """Return the people whose signature counts, by the ids of their keys; the same one while the file is."""
        pinned = self.all()
        if self._people is None or self._people[0] is not pinned:
            self._people = (pinned, MappingProxyType(by_id(pinned)))
        return self._people[1]

    def signers(self) -> Mapping[str, Approver]:
        """Return all whose signature an approval may bear: the people, and this node under a standing policy.

        The same one while neither the people nor the node's key changed (`verified`).
        """
        people, node = self.approvers(), self.by_policy()
        if self._signers is None or self._signers[0] is not people or self._signers[1] is not node:
            self._signers = (people, node, MappingProxyType({**people, **node}))
        return self._signers[2]

    def by_policy(self) -> Mapping[str, Approver]:
        """Return this node itself, which signs under a standing policy only."""
        pem = self.home.identity_pem()
        if self._node is None or self._node[0] != pem:
            public = keys.from_pem(pem, None).public_key()
            name = keys.key_id(public)
            self._node = (pem, MappingProxyType({name: Approver(name, STANDING_POLICY, STANDING_POLICY, public)}))
        return self._node[1]

    def find(self, text: str, *, kind: str = "") -> ApproverKey:
        """Return the approver with this name, or whose key's id begins so. Raises NodeError (E_NOT_FOUND).

        Args:
            kind: "console" or "passkey", for people who have both; "" for either.
        """
        named = [entry for entry in self.all() if kind in ("", entry.kind)]
        found = [entry for entry in named if entry.name == text or (len(text) >= 8 and entry.id.startswith(text))]
        if len(found) != 1:
            many = "several approvers" if found else "no approver"
            raise NodeError("E_NOT_FOUND", f"This node has {many} {text!r}: see `fedstudy-node trust list`.")
        return found[0]

    def on_console(self) -> ApproverKey:
        """Return the only approver who signs on the console. Raises NodeError (E_NOT_FOUND)."""
        found = [entry for entry in self.all() if entry.kind == "console"]
        if len(found) != 1:
            raise NodeError("E_NOT_FOUND", "Say who signs: --approver.")
        return found[0]

    def add(self, entry: ApproverKey) -> None:
        """Pin an approver. Raises NodeError (E_EXISTS)."""
        with self.home.changing():
            there = self.all() if (self.home.path / "trust.json").exists() else ()
            if any(entry.id == known.id or (entry.name, entry.kind) == (known.name, known.kind) for known in there):
                raise NodeError("E_EXISTS", f"{entry.name} is an approver here already, with a key of this kind.")
            self._save((*there, entry))

    def add_console_key(self, *, name: str, role: Role, passphrase: bytes) -> ApproverKey:
        """Make a key for a person who signs on the console, encrypted with their passphrase, and pin them.

        Raises:
            NodeError: E_PASSPHRASE for one that is too short, E_EXISTS.
        """
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise NodeError("E_PASSPHRASE", f"The passphrase needs {SHORTEST_PASSPHRASE} characters or more.")
        key = keys.generate()
        entry = pinned(kind="console", name=name, role=role, key=keys.public_text(key.public_key()))
        write_private(self._key_file(entry.id), keys.to_pem(key, passphrase))
        self.add(entry)
        return entry

    def console_key(self, entry: ApproverKey, passphrase: bytes) -> Ed25519PrivateKey:
        """Return a person's signing key. Raises Refusal (E_PASSPHRASE), NodeError (E_STATE) for a passkey's owner."""
        if entry.kind != "console":
            raise NodeError("E_STATE", f"{entry.name} signs with a passkey, on the node's page.")
        try:
            return keys.from_pem(self._key_file(entry.id).read_bytes(), passphrase)
        except OSError as error:
            raise NodeError("E_HOME", f"{self._key_file(entry.id)} cannot be read: {error.strerror}.") from error

    def change_passphrase(self, entry: ApproverKey, old: bytes, new: bytes) -> None:
        """Encrypt a person's key by another passphrase. Raises Refusal (E_PASSPHRASE), NodeError (E_STATE)."""
        key = self.console_key(entry, old)
        if len(new) < SHORTEST_PASSPHRASE:
            raise NodeError("E_PASSPHRASE", f"The passphrase needs {SHORTEST_PASSPHRASE} characters or more.")
        write_private(self._key_file(entry.id), keys.to_pem(key, new))

    def remove(self, entry: ApproverKey) -> None:
        """Trust a key no more: what it signed no longer counts here."""
        with self.home.changing():
            left = tuple(known for known in self.all() if known.id != entry.id)
            if not left:
                raise NodeError("E_STATE", "Somebody must be left who can sign: add another approver first.")
            self._save(left)
        self._key_file(entry.id).unlink(missing_ok=True)

    def invite(self, *, name: str, role: Role) -> str:
        """Return a one-time code with which this person registers a passkey on the node's page; good for 10 minutes."""
        pinned(kind="console", name=name, role=role, key="")  # the name fits, before anybody is told a code
        code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))
        ends = (datetime.now(UTC) + CODE_LIFE).isoformat()
        self._save_invitation({"name": name, "role": role, "digest": _digest(code), "ends": ends, "tries": 0})
        return code

    def invitation(self, code: str) -> tuple[str, Role]:
        """Return whom a code invites; a wrong one is counted. Raises Refusal (E_TOKEN)."""
        file = self._invitation_file()
        if not file.exists():
            raise Refusal("E_TOKEN", _WRONG_CODE)
        raw: dict[str, Any] = json.loads(file.read_bytes())
        if datetime.fromisoformat(raw["ends"]) <= datetime.now(UTC) or raw["tries"] >= CODE_TRIES:
            file.unlink()
            raise Refusal("E_TOKEN", _WRONG_CODE)
        if not compare_digest(raw["digest"], _digest(code)):
            self._save_invitation({**raw, "tries": raw["tries"] + 1})
            raise Refusal("E_TOKEN", _WRONG_CODE)
        return raw["name"], raw["role"]

    def end_invitation(self) -> None:
        """Use the code up."""
        self._invitation_file().unlink(missing_ok=True)

    def _save(self, entries: tuple[ApproverKey, ...]) -> None:
        content = json.dumps({"approvers": [entry.model_dump() for entry in entries]}, indent=1)
        write_private(self.home.path / "trust.json", content.encode())

    def _save_invitation(self, raw: Mapping[str, object]) -> None:
        write_private(self._invitation_file(), json.dumps(raw).encode())

    def _invitation_file(self) -> Path:
        return self.home.path / "invitation.json"

    def _key_file(self, approver_id: str) -> Path:
        return self.home.path / "keys" / f"approver-{approver_id[:16]}.pem"


def pinned(**facts: Any) -> ApproverKey:
    """Return an approver to pin. Raises Invalid (E_INVALID)."""
    try:
        return ApproverKey(added_at=now_text(), **facts)
    except ValidationError as error:
        problems = [FieldProblem(".".join(map(str, item["loc"])), "E_INVALID", item["msg"]) for item in error.errors()]
        raise Invalid("E_INVALID", "This approver cannot be pinned.", errors=problems) from error


def _digest(code: str) -> str:
    letters = "".join(letter for letter in code.upper() if letter in _CODE_LETTERS)
    return sha256(letters.encode()).hexdigest()
