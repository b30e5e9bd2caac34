"""What a signature says wherever it is shown (21 CFR 11.50): who made it, when, and with which meaning."""

from collections.abc import Callable
from dataclasses import dataclass

from fedstudy_core.policy import Policy
from fedstudy_core.revocation import Revocation
from fedstudy_core.statement import Statement


@dataclass(frozen=True)
class Signature:
    """One person's signature; `at` is when the document was written that they sign (ISO 8601, UTC)."""

    key: str
    name: str
    role: str
    meaning: str
    at: str


def signatures_of(content: Statement | Policy | Revocation) -> list[Signature]:
    """The signatures that a document names; policies of older agents say only from when on they count."""
    if isinstance(content, Revocation):
        return []
    at = content.issued_at or content.not_before
    return [Signature(signer.key, signer.name, signer.role, content.meaning, at) for signer in content.approvers]


def signed_by(content: Statement | Policy, moment: Callable[[str], str]) -> str:
    """The same in one line, with times as `moment` writes them."""
    return "; ".join(
        f"{item.name}, {item.role}, meaning “{item.meaning}”, {moment(item.at)}" for item in signatures_of(content)
    )
