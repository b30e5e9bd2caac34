"""The inbox: what waits for this site's people."""

from typing import Any

from starlette.responses import Response

from fedstudy_node.page.documents import Document, of_draft
from fedstudy_node.page.front import Front
from fedstudy_node.page.standing import Standing, standings
from fedstudy_node.page.visits import Visit
from fedstudy_node.signing import Signing
from fedstudy_node.witness import Witness


def inbox(visit: Visit) -> Response:
    """List offers without an answer, statements that wait for a second person, approvals that end soon."""
    front = visit.front
    known = standings(front)
    with front.ledger() as ledger:
        drafts = [of_draft(draft) for draft in Signing(front.home, ledger).waiting()]
    waiting = [*drafts, *front.documents.half_signed()]
    return visit.render(
        "inbox.html",
        offers=unanswered(front, known),
        mine=[document for document in waiting if document.waits_for(visit.signed_in.id)],
        others=[document for document in waiting if not document.waits_for(visit.signed_in.id)],
        soon=[item for item in known if item.soon],
        untold=[item for item in known if item.awaits_portal],
        log_refused=Witness(front.home).memory().refused,
    )


def unanswered(front: Front, known: list[Standing]) -> list[dict[str, Any]]:
    """Return the offered versions that no statement in force answers, newest first."""
    answered = {item.signed.version for item in known if item.in_force}
    rows = [row for row in front.offers.rows() if row["version"] not in answered]
    return sorted(rows, key=lambda row: str(row["submitted_at"]), reverse=True)


def refresh(visit: Visit) -> Response:
    """Have the agent ask the portal, without waiting for it."""
    visit.front.hurry()
    visit.session.notice = "The agent asks the portal for news. Load this page again in a few seconds."
    return visit.go("/")


def waiting_document(visit: Visit, document_id: str) -> Document:
    """Return a document that waits for a signature. Raises NodeError (E_NOT_FOUND)."""
    with visit.front.ledger() as ledger:
        return visit.front.documents.find(document_id, Signing(visit.front.home, ledger))
