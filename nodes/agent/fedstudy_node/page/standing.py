"""How an approval stands at this moment, in one word."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fedstudy_core.errors import Refusal
from fedstudy_core.statement import Statement, read_unverified, verify_statement
from fedstudy_core.times import parse_time
from fedstudy_node.approvals import Signed
from fedstudy_node.page.front import Front

SOON = timedelta(days=14)


@dataclass(frozen=True)
class Standing:
    """An approval with what it says and how it stands.

    Attributes:
        word: "in force", "rejected", "revoked", "voided", "expired", or "not trusted" when a signer is trusted no more.
        soon: in force, but not for long.
    """

    signed: Signed
    statement: Statement
    word: str
    soon: bool = False

    @property
    def in_force(self) -> bool:
        """Whether it counts now, as an approval or as a rejection."""
        return self.word in ("in force", "rejected")

    @property
    def awaits_portal(self) -> bool:
        """Whether the portal has yet to be told of it."""
        return self.in_force and not self.signed.portal_id


def standings(front: Front) -> list[Standing]:
    """Return every approval of this node, newest first."""
    return [standing(front, signed) for signed in front.approvals.all()]


def standing(front: Front, signed: Signed) -> Standing:
    """Say how one approval stands."""
    revoked, now = front.approvals.revocations(), datetime.now(UTC)
    statement = read_unverified(signed.envelope)
    ends = parse_time(statement.not_after)
    if signed.statement_id in revoked.statements:
        word = "revoked"
    elif statement.revocation_epoch < revoked.epoch:
        word = "voided"
    elif not _trusted(front, signed):
        word = "not trusted"
    elif ends <= now:
        word = "expired"
    else:
        word = "in force" if statement.meaning == "approved" else "rejected"
    return Standing(signed, statement, word, soon=word == "in force" and ends - now < SOON)


def _trusted(front: Front, signed: Signed) -> bool:
    try:
        verify_statement(signed.envelope, front.trust.signers())
    except Refusal:
        return False
    return True
