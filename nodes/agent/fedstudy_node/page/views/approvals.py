"""What this site signed: the list, one approval with its signatures, and taking one back."""

from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from fedstudy_core import canonical, dsse
from fedstudy_core.errors import Forbidden, Invalid
from fedstudy_core.times import parse_time
from fedstudy_node.control import LONGEST_REASON
from fedstudy_node.page import wording
from fedstudy_node.page.documents import Document, signer_of
from fedstudy_node.page.standing import standing, standings
from fedstudy_node.page.views.signing import dataset_of
from fedstudy_node.page.visits import Visit
from fedstudy_node.revoking import build_revocation

_HANDED_IN_WITHIN = timedelta(seconds=20)


def approvals(visit: Visit) -> Response:
    """List every statement that this site signed, newest first."""
    return visit.render("approvals.html", approvals=standings(visit.front))


def approval(visit: Visit) -> Response:
    """Show one statement: how it stands, who signed it, what it says, and whether the portal was told."""
    front = visit.front
    found = standing(front, front.approvals.find(visit.path["approval"]))
    settings = front.home.settings()
    page = visit.render(
        "approval.html",
        item=found,
        payload=dsse.unverified_payload(found.signed.envelope).decode("utf-8"),
        rows=wording.rows(found.statement, dataset_of(front, found.statement), found.signed.script, settings),
        meaning=wording.meaning(found.statement),
        at_portal=f"{settings.portal}/scripts/{found.signed.version}",
        revocation_untold=found.word == "revoked" and bool(found.signed.portal_id) and not found.signed.revocation_told,
        why=front.approvals.revocations().statements.get(found.signed.statement_id),
    )
    if found.awaits_portal and datetime.now(UTC) - parse_time(found.signed.signed_at) < _HANDED_IN_WITHIN:
        page.headers["Refresh"] = "1"
    return page


def revoke(visit: Visit) -> Response:
    """Write a revocation, and show it to be signed.

    Raises:
        Forbidden: E_FORBIDDEN for a statement that does not count any more.
        Invalid: E_INVALID for a reason of more than one line.
    """
    front = visit.front
    found = standing(front, front.approvals.find(visit.path["approval"]))
    if found.word in ("revoked", "voided"):
        raise Forbidden("E_FORBIDDEN", "This was taken back already.")
    return write_revocation(visit, found.signed.statement_id, f"{found.signed.script}, {found.statement.meaning}")


def write_revocation(visit: Visit, statement_id: str, title: str) -> Response:
    """Write a revocation with the form's reason, and lead to where it is signed."""
    reason = visit.text("reason")
    if len(reason) > LONGEST_REASON or "\n" in reason or not canonical.is_plain_text(reason):
        raise Invalid("E_INVALID", f"A reason is one line of at most {LONGEST_REASON} characters.")
    payload = build_revocation(visit.front.home, statement_id, reason)
    document = Document("revocation", payload, title, (signer_of(visit.signed_in),))
    visit.front.documents.put(document)
    return visit.go(f"/sign/{document.id}")
