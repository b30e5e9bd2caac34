"""From a site's wish to a consent that counts: written from this node's own facts, signed by its two people."""

import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from pydantic import ValidationError

from fedstudy_core.approvers import ApproverKey
from fedstudy_core.errors import FieldProblem, Invalid, Refusal
from fedstudy_core.pooling.consent import Consent, check_people, check_times, verify_consent
from fedstudy_core.pooling.documents import assemble, sign
from fedstudy_core.pooling.statements import PoolRevocation
from fedstudy_core.times import format_time
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.home import Home, now_text
from fedstudy_node.ledger import Ledger
from fedstudy_node.pooling.offers import Destination
from fedstudy_node.pooling.papers import Draft, Given, Papers, draft_of
from fedstudy_node.pooling.terms import Wish
from fedstudy_node.portal import Portal
from fedstudy_node.signing import check_unchanged
from fedstudy_node.trust import Trust


@dataclass(frozen=True)
class Consenting:
    """Consents of one node, and what becomes of them."""

    home: Home
    ledger: Ledger

    @property
    def papers(self) -> Papers:
        """Where they are kept."""
        return Papers(self.home)

    def begin(
        self, wish: Wish, study: str, dataset: Dataset, where: Destination, people: Sequence[ApproverKey]
    ) -> Draft:
        """Write a consent from what this node holds.

        Raises:
            Refusal: E_SECOND_PERSON unless these are a site admin and a data steward, E_FIELDS, E_TOO_LONG.
            NodeError: E_DATASET when the dataset's file changed, E_KEY without a recovery key.
        """
        check_unchanged(Datasets(self.home), dataset)
        if len(people) != len({person.name for person in people}) or len(people) < 2:
            raise Refusal("E_SECOND_PERSON", "A consent needs the signatures of a site admin and a data steward.")
        settings, issued = self.home.enrolled(), datetime.now(UTC).replace(microsecond=0)
        terms = wish.terms
        consent = _consent(
            {
                "v": 1,
                "kind": "consent",
                "study": study,
                "site": settings.site,
                "node": settings.node,
                "pool": {"node": where.node, "recipient": where.recipient},
                "recovery": self.papers.recovery(),
                "level": wish.level,
                "dataset": {"id": dataset.id, "fingerprint": dataset.fingerprint},
                "columns": list(terms.columns),
                "filter": [condition.model_dump() for condition in terms.filter],
                "profile": {name: action.model_dump() for name, action in terms.profile.items()},
                "holdout": terms.holdout.model_dump(),
                "k": terms.k.model_dump(),
                "purpose": "study",
                "legal_basis": wish.legal_basis.model_dump(),
                "retention_until": format_time(wish.retained_until),
                "meaning": "consented",
                "approvers": [{"key": entry.id, "name": entry.name, "role": entry.role} for entry in people],
                "nonce": secrets.token_hex(16),
                "sequence": self.ledger.next_number("pool consent"),
                "issued_at": format_time(issued),
                "not_after": wish.ends(issued),
            }
        )
        check_people(consent)
        check_times(consent)
        return draft_of(consent)

    def add(self, draft: Draft, approver: str, signature: bytes) -> Draft:
        """Take in one person's signature; a draft that still waits for another is kept.

        Raises:
            Refusal: E_SIGNERS when the draft does not name this key, E_SIG or E_WA_* when the signature does not hold.
        """
        trusted = Trust(self.home).approvers()
        if approver not in trusted or approver not in {signer.key for signer in draft.consent.approvers}:
            raise Refusal("E_SIGNERS", "The consent does not name this person.")
        try:
            trusted[approver].key.verify(signature, draft.to_sign)
        except InvalidSignature as error:
            raise Refusal("E_SIG") from error
        draft = replace(draft, signatures={**draft.signatures, approver: signature})
        if draft.awaited:
            self.papers.keep_draft(draft)
        return draft

    def finish(self, draft: Draft) -> Given:
        """Keep a draft that both people signed as the site's consent. Raises Refusal as `verify_consent`."""
        envelope = assemble(draft.consent, draft.signatures)
        consent = verify_consent(envelope, Trust(self.home).approvers())
        given = self.papers.keep(Given(draft.id, envelope, consent.study))
        self.papers.drop_draft(draft)
        self.ledger.journal.append(
            "pool_consented",
            draft.id,
            {
                "study": consent.study,
                "level": consent.level,
                "columns": ", ".join(consent.columns),
                "pool_node": consent.pool.node,
                "by": " and ".join(f"{signer.name}, {signer.role}" for signer in consent.approvers),
                "until": consent.not_after,
            },
        )
        return given

    def hand_in(self, given: Given, portal: Portal) -> Given:
        """Give a consent to the portal."""
        if given.told:
            return given
        portal.tell_approvers([entry.model_dump() for entry in Trust(self.home).all()])
        portal.add_pool_consent(_text(given.envelope))
        return self.papers.note(given.consent_id, told=True)

    def take_back(self, given: Given, *, delete: bool, reason: str) -> Given:
        """Take a consent back, at once here; what was sealed under it and not sent is removed.

        Taken back before, it can still be asked that the rows be destroyed.
        """
        settings, identity = self.home.enrolled(), self.home.identity_key()
        revocation = PoolRevocation(
            study=given.study,
            site=settings.site,
            node=settings.node,
            consent=given.consent_id,
            delete=delete,
            reason=reason,
            nonce=secrets.token_hex(16),
            sequence=self.ledger.next_number("pool consent"),
            issued_at=now_text(),
        )
        given = self.papers.note(given.consent_id, revocation=sign(revocation, [identity]), revocation_told=False)
        if given.sha256:
            self.papers.sealed_path(given.sha256).unlink(missing_ok=True)
        self.ledger.journal.append(
            "pool_revoked", given.consent_id, {"study": given.study, "delete": str(delete), "reason": reason}
        )
        return given

    def tell_revocation(self, given: Given, portal: Portal) -> Given:
        """Tell the portal that a consent was taken back; until that succeeds the agent tries again by itself."""
        if not given.revocation or given.revocation_told or not given.told:
            return given
        portal.revoke_pool_consent(_text(given.revocation))
        return self.papers.note(given.consent_id, revocation_told=True)


def _consent(facts: dict[str, Any]) -> Consent:
    """Return a consent of facts. Raises Invalid (E_PROFILE) where they contradict each other."""
    try:
        return Consent.model_validate(facts)
    except ValidationError as error:
        problems = [
            FieldProblem(".".join(map(str, item["loc"])), "E_PROFILE", f"{item['msg']}.") for item in error.errors()
        ]
        raise Invalid("E_PROFILE", "The file does not say well what would leave.", errors=problems) from error


def _text(envelope: bytes) -> str:
    return b64encode(envelope).decode("ascii")
