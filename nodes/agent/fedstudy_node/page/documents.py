"""What waits for a signature at the page: statements, standing policies, revocations. Each is fixed when it is written.

A statement that one of two people has signed is kept in the node's home (`signing`); everything else waits in memory.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from fedstudy_core import canonical, dsse
from fedstudy_core import policy as policies
from fedstudy_core import revocation as revocations
from fedstudy_core import statement as statements
from fedstudy_core.approvers import ApproverKey
from fedstudy_core.policy import Policy
from fedstudy_core.revocation import Revocation
from fedstudy_core.statement import Signer, Statement
from fedstudy_node.errors import NodeError
from fedstudy_node.signing import Draft, Signing

Kind = Literal["statement", "policy", "revocation"]
LIFE = 15 * 60.0
LIFE_OF_SIGNED = 24 * 3600.0
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
    """The documents that wait. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[float, Document]] = {}

    def put(self, document: Document) -> Document:
        """Have a document wait: for fifteen minutes, or a day once somebody signed it."""
        life = LIFE_OF_SIGNED if document.signatures else LIFE
        with self._lock:
            self._forget_old()
            while len(self._waiting) >= MOST_WAITING:
                del self._waiting[min(self._waiting, key=lambda name: self._waiting[name][0])]
            self._waiting[document.id] = (time.monotonic() + life, document)
        return document

    def find(self, document_id: str, signing: Signing) -> Document:
        """Return a document that waits. Raises NodeError (E_NOT_FOUND)."""
        with self._lock:
            self._forget_old()
            if document_id in self._waiting:
                return self._waiting[document_id][1]
        for draft in signing.waiting():
            if draft.id == document_id:
                return of_draft(draft)
        raise NodeError("E_NOT_FOUND", "Nothing of this kind waits for a signature here: it was signed, or is too old.")

    def half_signed(self) -> list[Document]:
        """Return what one person signed and another has to."""
        with self._lock:
            self._forget_old()
            return [document for _, document in self._waiting.values() if document.signatures]

    def forget(self, document: Document) -> None:
        """Drop a document."""
        with self._lock:
            self._waiting.pop(document.id, None)

    def _forget_old(self) -> None:
        now = time.monotonic()
        self._waiting = {name: waits for name, waits in self._waiting.items() if waits[0] > now}
