"""A hospital's node as an attacker meets it: its real desk and gate; processes are only counted."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from fedstudy_core import canonical, dsse, flower, keys
from fedstudy_core.approvers import ApproverKey
from fedstudy_core.passkeys import Assertion, challenge_of, public_key_text
from fedstudy_core.receipts import verify_receipt
from fedstudy_core.sandbox.choosing import BARE
from fedstudy_core.statement import PAYLOAD_TYPE
from fedstudy_node.approvals import Approvals
from fedstudy_node.children import Child
from fedstudy_node.datasets import Datasets
from fedstudy_node.desk import Desk
from fedstudy_node.flower import Incoming, RunInfo
from fedstudy_node.gate import Gate, Permit
from fedstudy_node.ledger import Ledger
from fedstudy_node.runs import ActiveRun, Runs
from fedstudy_node.trust import Trust, pinned
from tests.factories.agent import approval_key, make_node, script, signer

FAB = script()
Place = tuple[str | int, ...]
OTHER_ID, OTHER_SHA = "00000000-0000-0000-0000-0000000000ff", "0" * 64
HOST, PAGE = "node.hospital.test", "https://node.hospital.test"
_STATE = ("trust.json", "revoked.json", "control.json", "datasets", "policies")


class PasskeyOwner:
    """A person with a passkey for the node's page, and the browser that uses it."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.entry = pinned(
            kind="passkey",
            name="Demo Passkey",
            role="site admin",
            key=public_key_text(self._key.public_key()),
            rp_id=HOST,
            origin=PAGE,
            credential="Y3JlZGVudGlhbA",
        )

    def sign(self, data: bytes, *, host: str = HOST, flags: int = 0x05, tail: bytes = b"", **client: Any) -> bytes:
        """An assertion over `data`; keywords change what browser and passkey say. None takes a member away."""
        challenge = base64.urlsafe_b64encode(challenge_of(data)).decode().rstrip("=")
        said = {"type": "webauthn.get", "challenge": challenge, "origin": PAGE, "crossOrigin": False, **client}
        client_data = json.dumps({name: value for name, value in said.items() if value is not None}).encode()
        authenticator = hashlib.sha256(host.encode()).digest() + bytes([flags]) + bytes(4) + tail
        signed = authenticator + hashlib.sha256(client_data).digest()
        return Assertion(authenticator, client_data, self._key.sign(signed, ec.ECDSA(hashes.SHA256()))).to_bytes()


class _Silent:
    """In a script's process's place: takes what it is sent."""

    def call(self, number: int, message: str, content: RecordDict, *, keep: frozenset[str]) -> None:
        return

    def kill(self) -> None:
        return


class CountingRuns(Runs):
    """Counts the processes that would have been started."""

    started = 0

    def start_child(self, run: ActiveRun, permit: Permit) -> Child:
        self.started += 1
        run.child = _Silent()  # type: ignore[assignment]
        return run.child  # type: ignore[return-value]


@dataclass(frozen=True)
class Attempt:
    """One try to have a script run, and the code that the node must answer ("" when it must run).

    Attributes:
        envelope: the approval that is shown.
        order: fields of the order that are changed.
        said: the whole order record, where it is no order any more.
        config: what the run overrides.
        task: the kind of the SuperLink's task; `outer_type`: the message type on the envelope of the message.
        later: how much later than now the node's clock is.
        prepare: changes the site's own state for this attempt.
    """

    name: str
    code: str
    envelope: bytes
    order: Mapping[str, Any] = field(default_factory=dict)
    said: RecordDict | None = None
    fab: bytes = FAB
    config: Mapping[str, Any] = field(default_factory=dict)
    task: str = "flwr-serverapp"
    outer_type: str = ""
    later: timedelta = timedelta()
    prepare: Callable[["Hospital"], None] | None = None


class Hospital:
    """A node with three people who may sign: a site admin, a data steward, and an admin with a passkey."""

    node_id = 7

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.node = make_node(folder)
        self.home = self.node.home
        self.ledger = ledger
        self.steward_key = keys.generate()
        self.passkey = PasskeyOwner()
        self.steward = pinned(
            kind="console",
            name="Demo Steward",
            role="data steward",
            key=keys.public_text(self.steward_key.public_key()),
        )
        trust = Trust(self.home)
        trust.add(self.steward)
        trust.add(self.passkey.entry)
        self.attempt: Attempt | None = None
        self.runs = CountingRuns(self.home, self, BARE)
        gate = Gate(self.home, ledger, Datasets(self.home), Approvals(self.home), self.now)
        self.desk = Desk(self.home, ledger, gate, self.runs)
        self._public = keys.public_text(self.home.identity_key().public_key())
        self._number = 0

    def now(self) -> datetime:
        return datetime.now(UTC) + (self.attempt.later if self.attempt else timedelta())

    def get_run(self, run_id: int) -> RunInfo:
        assert self.attempt is not None
        return RunInfo(run_id, run_id, "", dict(self.attempt.config), self.attempt.task)

    def get_fab(self, run: RunInfo) -> bytes:
        assert self.attempt is not None
        return self.attempt.fab

    def try_it(self, attempt: Attempt) -> tuple[str, int]:
        """Have the desk take the attempt's message; answer its code and how many processes were started."""
        self.attempt, before = attempt, self.runs.started
        with self._own_state():
            if attempt.prepare is not None:
                attempt.prepare(self)
            answer = self.desk.take(self._message(attempt))
        if answer is None:
            return "", self.runs.started - before
        error = flower.parse_error_reason(str(answer.message.error.reason))
        receipt = verify_receipt(error.receipt, self._public)
        assert (receipt.outcome, receipt.code) == ("refused", error.code)
        return error.code, self.runs.started - before

    def _message(self, attempt: Attempt) -> Incoming:
        self._number += 1
        order = replace(self.node.order(attempt.envelope), **attempt.order)
        content = attempt.said if attempt.said is not None else flower.wrap_order(RecordDict(), order)
        outer = attempt.outer_type or order.message_type
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1
        message = Message(content, self.node_id, "train")
        message.metadata.__dict__["_message_id"] = sha256(os.urandom(8)).hexdigest()
        return Incoming(self._number, message.metadata.message_id, outer, content, 100, message)

    @contextmanager
    def _own_state(self) -> Iterator[None]:
        """Put the site's own files back afterwards."""
        files = [file for name in _STATE for file in _files(self.home.path / name)] + [Path(self.node.dataset.path)]
        kept = {file: file.read_bytes() for file in files}
        yield
        for file in [file for name in _STATE for file in _files(self.home.path / name)]:
            if file not in kept:
                file.unlink()
        for file, content in kept.items():
            if not file.exists() or file.read_bytes() != content:
                file.write_bytes(content)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.glob("*"))


def payload_of(envelope: bytes) -> dict[str, Any]:
    return dict(canonical.loads(dsse.unverified_payload(envelope)))


def seal(payload: object, *signers: Ed25519PrivateKey, kind: str = PAYLOAD_TYPE) -> bytes:
    """An envelope around any payload (bytes are taken as they are), signed by the site admin or by these keys."""
    data = payload if isinstance(payload, bytes) else canonical.dumps(payload)
    return dsse.sign(kind, data, signers or (approval_key(),))


def reseal(payload: object, envelope: bytes) -> bytes:
    """Another payload under the signatures of an envelope."""
    whole = json.loads(envelope)
    data = payload if isinstance(payload, bytes) else canonical.dumps(payload)
    return written({**whole, "payload": base64.b64encode(data).decode()})


def written(envelope: object) -> bytes:
    return json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()


def named(entry: ApproverKey) -> dict[str, str]:
    """A person as statements name them."""
    return {"key": entry.id, "name": entry.name, "role": entry.role}


def without(payload: Any, at: Place) -> Any:
    """The payload without what stands in one place."""
    changed = deepcopy(payload)
    inner = changed
    for step in at[:-1]:
        inner = inner[step]
    del inner[at[-1]]
    return changed


ADMIN = signer()
STRANGER = keys.generate()
