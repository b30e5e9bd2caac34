"""From a reviewed script to a statement that counts: written from this node's own facts, signed by all whom it names.

A draft is fixed when it is begun; every signature is over the same bytes. One that waits for a second person is kept
in the home, so that they may sign later, on the console or on the node's page.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature

from fedstudy_core import canonical, dsse
from fedstudy_core import statement as statements
from fedstudy_core.approvers import ROLES, ApproverKey
from fedstudy_core.errors import Refusal
from fedstudy_core.levels import phases_at
from fedstudy_core.statement import PAYLOAD_TYPE, Statement, payload_of
from fedstudy_node.approvals import Approvals, Limits, Signed, build_statement
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, now_text, write_private
from fedstudy_node.ledger import Ledger
from fedstudy_node.offers import Offer
from fedstudy_node.portal import Portal
from fedstudy_node.revoking import Revoking
from fedstudy_node.trust import Trust


@dataclass(frozen=True)
class Draft:
    """A statement on its way to being signed. `signatures` are by the ids of their keys."""

    payload: bytes
    script: str
    version: str
    begun_at: str = field(default_factory=now_text)
    signatures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id that the statement will have."""
        return canonical.digest(self.payload)

    @property
    def statement(self) -> Statement:
        """What is signed."""
        return Statement.model_validate(canonical.loads(self.payload))

    @property
    def to_sign(self) -> bytes:
        """The bytes that a key signs; the challenge of a passkey is their SHA-256."""
        return dsse.pre_authentication(PAYLOAD_TYPE, self.payload)

    @property
    def awaited(self) -> list[str]:
        """The names of the people who have not signed yet."""
        return [signer.name for signer in self.statement.approvers if signer.key not in self.signatures]


@dataclass
class Signing:
    """Drafts of one node, and what becomes of them."""

    home: Home
    ledger: Ledger

    def begin(
        self, offer: Offer, dataset: Dataset, limits: Limits, decision: str, approvers: Sequence[ApproverKey]
    ) -> Draft:
        """Write a statement from what this node holds; it allows what the site's level in the study does.

        Raises:
            Refusal: E_SECOND_PERSON when the dataset asks for two people and these are not a site admin and a steward;
                E_POLICY_FLOOR when the limits are below the dataset's.
            NodeError: E_DATASET when the dataset's file changed, E_INVALID, E_TOO_LONG.
        """
        check_unchanged(Datasets(self.home), dataset)
        if decision == "approved":
            check_people(dataset, approvers)
        statement = build_statement(
            settings=self.home.enrolled(),
            study=offer.study,
            bundle=offer.bundle,
            dataset=dataset,
            limits=limits.at_least(dataset.floor),
            decision=decision,
            approvers=[{"key": entry.id, "name": entry.name, "role": entry.role} for entry in approvers],
            sequence=self.ledger.next_number("statement"),
            epoch=Approvals(self.home).revocations().epoch,
            phases=phases_at(offer.level),
        )
        return Draft(payload_of(statement), offer.title, offer.version)

    def add(self, draft: Draft, approver: str, signature: bytes) -> Draft:
        """Take in one person's signature; a draft that still waits for another is kept.

        Raises:
            Refusal: E_SIGNERS when the draft does not name this key, E_SIG or E_WA_* when the signature does not hold.
        """
        trusted = Trust(self.home).approvers()
        if approver not in trusted or approver not in {signer.key for signer in draft.statement.approvers}:
            raise Refusal("E_SIGNERS")
        try:
            trusted[approver].key.verify(signature, draft.to_sign)
        except InvalidSignature as error:
            raise Refusal("E_SIG") from error
        draft = replace(draft, signatures={**draft.signatures, approver: signature})
        if draft.awaited:
            self._keep(draft)
        return draft

    def finish(self, draft: Draft) -> Signed:
        """Keep a draft that everybody signed as the site's statement. Raises NodeError (E_STATE)."""
        if draft.awaited:
            raise NodeError("E_STATE", f"The statement still waits for {' and '.join(draft.awaited)}.")
        statement = draft.statement
        signed = Signed(
            statement_id=draft.id,
            envelope=dsse.assemble(PAYLOAD_TYPE, draft.payload, draft.signatures),
            script=draft.script,
            version=draft.version,
            decision=statement.meaning,
            study=statement.study,
            dataset=statement.dataset.id,
            script_sha256=statement.script.sha256,
            not_after=statement.not_after,
        )
        statements.verify_statement(signed.envelope, Trust(self.home).approvers())
        Approvals(self.home).keep(signed)
        self._file(draft.id).unlink(missing_ok=True)
        signers = " and ".join(f"{signer.name}, {signer.role}" for signer in statement.approvers)
        told = {"script": draft.script, "sha256": statement.script.sha256, "dataset": statement.dataset.id}
        self.ledger.journal.append(statement.meaning, draft.id, told | {"by": signers, "until": statement.not_after})
        return signed

    def hand_in(self, signed: Signed, portal: Portal) -> Signed:
        """Give a kept statement to the portal; until that succeeds the agent tries again by itself."""
        portal.tell_approvers([entry.model_dump() for entry in Trust(self.home).all()])
        portal_id = portal.add_approval(
            version=signed.version, dataset=signed.dataset, envelope=b64encode(signed.envelope).decode("ascii")
        )
        signed = replace(signed, portal_id=portal_id)
        Approvals(self.home).keep(signed)
        return signed

    def tell_revocation(self, signed: Signed, portal: Portal) -> None:
        """Tell the portal that a statement counts here no more; until that succeeds the agent tries again by itself."""
        if not signed.portal_id or signed.revocation_told:
            return
        envelope = Revoking(self.home).envelope(signed.statement_id)
        portal.revoke_approval(signed.portal_id, b64encode(envelope).decode("ascii"))
        Approvals(self.home).keep(replace(signed, revocation_told=True))

    def waiting(self) -> list[Draft]:
        """Return the drafts that wait for a second person, newest first."""
        drafts = [_read(json.loads(file.read_bytes())) for file in self._folder.glob("*.json")]
        return sorted(drafts, key=lambda draft: draft.begun_at, reverse=True)

    def find(self, text: str) -> Draft:
        """Return a waiting draft by its id, or the beginning of it. Raises NodeError (E_NOT_FOUND)."""
        found = [draft for draft in self.waiting() if len(text) >= 8 and draft.id.startswith(text)]
        if len(found) != 1:
            raise NodeError("E_NOT_FOUND", f"No statement {text!r} waits for a signature here.")
        return found[0]

    def drop(self, draft: Draft) -> None:
        """Give a draft up."""
        self._file(draft.id).unlink(missing_ok=True)

    def _keep(self, draft: Draft) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        raw = asdict(draft) | {
            "payload": b64encode(draft.payload).decode("ascii"),
            "signatures": {key: b64encode(value).decode("ascii") for key, value in draft.signatures.items()},
        }
        write_private(self._file(draft.id), json.dumps(raw, indent=1).encode())

    def _file(self, draft_id: str) -> Path:
        return self._folder / f"{draft_id}.json"

    @property
    def _folder(self) -> Path:
        return self.home.path / "drafts"


def check_people(dataset: Dataset, approvers: Sequence[ApproverKey]) -> None:
    """Raises Refusal (E_SECOND_PERSON) when the dataset asks for more people than these."""
    people = {entry.name for entry in approvers}
    if dataset.people > 1 and (len(people) < dataset.people or {entry.role for entry in approvers} != set(ROLES)):
        raise Refusal("E_SECOND_PERSON")


def check_unchanged(datasets: Datasets, dataset: Dataset) -> None:
    """Raises NodeError (E_DATASET) when the dataset's file is not what was offered."""
    if datasets.present_fingerprint(dataset) != dataset.fingerprint:
        raise NodeError(
            "E_DATASET", f"The file of dataset {dataset.name!r} changed since it was offered: add it again."
        )


def _read(raw: dict[str, Any]) -> Draft:
    signatures = {key: b64decode(value) for key, value in raw["signatures"].items()}
    return Draft(b64decode(raw["payload"]), raw["script"], raw["version"], raw["begun_at"], signatures)
