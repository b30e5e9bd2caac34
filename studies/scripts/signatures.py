"""What a signature says wherever it is shown (21 CFR 11.50): who made it, when, and with which meaning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fedstudy_core.times import format_time, parse_time
from studies.scripts.models import Approval


@dataclass(frozen=True)
class Signature:
    """One person's signature.

    Attributes:
        name, role: of the person, as the signed document or the account has them.
        meaning: "approved" or "rejected" a script; "consented" to a release or "refused" it.
        site: for whom; empty where that is said beside it.
    """

    name: str
    role: str
    meaning: str
    at: datetime
    site: str = ""

    def as_json(self) -> dict[str, str]:
        """The signature as plain JSON values; the time is UTC, ISO 8601."""
        return {"name": self.name, "role": self.role, "meaning": self.meaning, "signed_at": format_time(self.at)}

    @classmethod
    def from_json(cls, told: dict[str, str]) -> Signature:
        """The signature that `as_json` wrote."""
        return cls(told["name"], told["role"], told["meaning"], parse_time(told["signed_at"]))


def signatures_of(approval: Approval) -> list[Signature]:
    """The signatures under a site's statement; people who sign together sign what was written at one time."""
    people = approval.statement.get("approvers") or [{"name": approval.approver_name, "role": approval.approver_role}]
    return [Signature(who["name"], who["role"], approval.decision, approval.signed_at) for who in people]
