"""Taking back what this site signed: at once here, and at the portal as soon as it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedstudy_core import canonical, dsse, keys
from fedstudy_core.revocation import PAYLOAD_TYPE, Revocation, sign_revocation
from fedstudy_core.statement import read_unverified
from fedstudy_node.approvals import Approvals
from fedstudy_node.home import Home, now_text, write_private
from fedstudy_node.trust import Trust


def build_revocation(home: Home, statement_id: str, reason: str) -> bytes:
    """Return the bytes that take a statement or a standing policy back, for a person to sign."""
    revocation = Revocation(statement=statement_id, node=home.enrolled().node, reason=reason, revoked_at=now_text())
    return canonical.dumps(revocation.model_dump(mode="json"))


@dataclass
class Revoking:
    """What was taken back at a node, and the documents that say so."""

    home: Home

    def carry_out(self, payload: bytes, signatures: Mapping[str, bytes]) -> Revocation:
        """Stop a statement, or a policy and what was signed under it, from counting here; keep the signed revocation.

        Args:
            signatures: of people, by the ids of their keys; the node adds its own.
        """
        revocation = Revocation.model_validate(canonical.loads(payload))
        identity = self.home.identity_key()
        by_node = {keys.key_id(identity.public_key()): identity.sign(dsse.pre_authentication(PAYLOAD_TYPE, payload))}
        self._folder.mkdir(mode=0o700, exist_ok=True)
        envelope = dsse.assemble(PAYLOAD_TYPE, payload, {**by_node, **signatures})
        write_private(self._file(revocation.statement), envelope)
        approvals, by = Approvals(self.home), self._names(signatures)
        approvals.revoke(revocation.statement, revocation.reason, by)
        for signed in approvals.all():
            if read_unverified(signed.envelope).policy == revocation.statement:
                approvals.revoke(signed.statement_id, revocation.reason, by)
        return revocation

    def _names(self, signatures: Mapping[str, bytes]) -> str:
        """Who signed: names and roles as this node knows them."""
        people = Trust(self.home).approvers()
        return "; ".join(f"{people[key].name}, {people[key].role}" for key in signatures if key in people)

    def envelope(self, statement_id: str) -> bytes:
        """Return the signed revocation of a statement; where no person signed one, the node does by itself."""
        if self._file(statement_id).is_file():
            return self._file(statement_id).read_bytes()
        noted = Approvals(self.home).revocations().statements.get(statement_id, {})
        revocation = Revocation(
            statement=statement_id,
            node=self.home.enrolled().node,
            reason=noted.get("reason", ""),
            revoked_at=noted.get("at") or now_text(),
        )
        return sign_revocation(revocation, [self.home.identity_key()])

    def _file(self, statement_id: str) -> Path:
        return self._folder / f"{statement_id}.json"

    @property
    def _folder(self) -> Path:
        return self.home.path / "revocations"
