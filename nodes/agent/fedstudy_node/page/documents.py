"""What waits for a signature at the page: statements, standing policies, revocations. Each is fixed when it is written.

What one of two people has signed is kept in the node's home: a statement as a draft (`signing`), a policy here. What
nobody signed yet waits in memory.
"""

import json
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from fedstudy_core import canonical, dsse
from fedstudy_core import policy as policies
from fedstudy_core import revocation as revocations
from fedstudy_core import statement as statements
from fedstudy_core.approvers import ApproverKey
from fedstudy_core.policy import Policy
from fedstudy_core.revocation import Revocation
from fedstudy_core.statement import Signer, Statement
from fedstudy_node.errors import NodeError
from fedstudy_node.home import write_private
from fedstudy_node.signing import Draft, Signing

Kind = Literal["statement", "policy", "revocation"]
LIFE = 15 * 60.0
MOST_WAITING = 200


@dataclass(frozen=True)
class Document:
    """Bytes that people are asked to sign, and who.

    Attributes:
        title: what it is about, for people.
        signers: whom it names.
        draft: of a statement.
    """

    kind: Kind
    payload: bytes
    title: str
    signers: tuple[Signer, ...]
    signatures: Mapping[str, bytes] = field(default_factory=dict)
    draft: Draft | None = None

    @property
    def id(self) -> str:
        """SHA-256 of the bytes."""
        return canonical.digest(self.payload)

    @property
    def payload_type(self) -> str:
        """The type that goes into the signature."""
        return _TYPES[self.kind]

    @property
    def to_sign(self) -> bytes:
        """What a key signs."""
        return dsse.pre_authentication(self.payload_type, self.payload)

    @property
    def text(self) -> str:
        """The bytes as text: they are canonical JSON."""
        return self.payload.decode("utf-8")

    @property
    def content(self) -> Statement | Policy | Revocation:
        """The same, read."""
        value = canonical.loads(self.payload)
        model: type[Statement | Policy | Revocation] = _MODELS[self.kind]
        return model.model_validate(value)

    @property
    def awaited(self) -> list[Signer]:
        """Who has not signed yet."""
        return [signer for signer in self.signers if signer.key not in self.signatures]

    def waits_for(self, key: str) -> bool:
        """Whether this person has yet to sign."""
        return any(signer.key == key for signer in self.awaited)

    def signed_by(self, key: str, signature: bytes) -> "Document":
        """Return it with one signature more."""
        return replace(self, signatures={**self.signatures, key: signature})


_TYPES = {
    "statement": statements.PAYLOAD_TYPE,
    "policy": policies.PAYLOAD_TYPE,
    "revocation": revocations.PAYLOAD_TYPE,
}
_MODELS: dict[str, type[Statement | Policy | Revocation]] = {
    "statement": Statement,
    "policy": Policy,
    "revocation": Revocation,
}


def of_draft(draft: Draft) -> Document:
    """Return a draft as a document."""
    signers = tuple(draft.statement.approvers)
    return Document("statement", draft.payload, draft.script, signers, draft.signatures, draft)


def signer_of(entry: ApproverKey) -> Signer:
    """Return a person as documents name them."""
    return Signer(key=entry.id, name=entry.name, role=entry.role)


class Documents:
    """The documents that wait. May be used from any thread.

    Args:
        folder: where those are kept that somebody signed; a restart of the agent does not lose them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[float, Document]] = {}

    def put(self, document: Document) -> Document:
        """Have a document wait: for fifteen minutes, or until it is signed or given up once somebody signed it."""
        with self._lock:
            if document.signatures:
                self._waiting.pop(document.id, None)
                self._keep(document)
                return document
            self._forget_old()
            while len(self._waiting) >= MOST_WAITING:
                del self._waiting[min(self._waiting, key=lambda name: self._waiting[name][0])]
            self._waiting[document.id] = (time.monotonic() + LIFE, document)
        return document

    def find(self, document_id: str, signing: Signing) -> Document:
        """Return a document that waits. Raises NodeError (E_NOT_FOUND)."""
        with self._lock:
            self._forget_old()
            if document_id in self._waiting:
                return self._waiting[document_id][1]
        for document in [*self.half_signed(), *map(of_draft, signing.waiting())]:
            if document.id == document_id:
                return document
        raise NodeError("E_NOT_FOUND", "Nothing of this kind waits for a signature here: it was signed, or is too old.")

    def half_signed(self) -> list[Document]:
        """Return the policies that one person signed and another has to."""
        with self._lock:
            return [_read(json.loads(file.read_bytes())) for file in sorted(self.folder.glob("*.json"))]

    def forget(self, document: Document) -> None:
        """Drop a document."""
        with self._lock:
            self._waiting.pop(document.id, None)
            self._file(document).unlink(missing_ok=True)

    def _keep(self, document: Document) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        raw = {
            "kind": document.kind,
            "title": document.title,
            "payload": b64encode(document.payload).decode("ascii"),
            "signers": [signer.model_dump() for signer in document.signers],
            "signatures": {key: b64encode(value).decode("ascii") for key, value in document.signatures.items()},
        }
        write_private(self._file(document), json.dumps(raw, indent=1).encode())

    def _file(self, document: Document) -> Path:
        return self.folder / f"{document.id}.json"

    def _forget_old(self) -> None:
        now = time.monotonic()
        self._waiting = {name: waits for name, waits in self._waiting.items() if waits[0] > now}


def _read(raw: dict[str, Any]) -> Document:
    signers = tuple(Signer.model_validate(signer) for signer in raw["signers"])
    signatures = {key: b64decode(value) for key, value in raw["signatures"].items()}
    return Document(raw["kind"], b64decode(raw["payload"]), raw["title"], signers, signatures)
