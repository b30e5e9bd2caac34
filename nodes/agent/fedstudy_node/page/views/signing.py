"""Where a document is shown whole and signed: statements, standing policies, revocations."""

from starlette.responses import JSONResponse, Response

from fedstudy_core.errors import Forbidden
from fedstudy_core.policy import Policy
from fedstudy_core.revocation import Revocation
from fedstudy_core.statement import Statement, level_of
from fedstudy_node.datasets import Dataset
from fedstudy_node.errors import NodeError
from fedstudy_node.ledger import Ledger
from fedstudy_node.page import ceremonies, wording
from fedstudy_node.page.documents import Document
from fedstudy_node.page.front import Front
from fedstudy_node.page.views.inbox import waiting_document
from fedstudy_node.page.visits import Visit
from fedstudy_node.policies import Policies
from fedstudy_node.revoking import Revoking
from fedstudy_node.signing import Draft, Signing
from fedstudy_node.status import read_status


def show(visit: Visit) -> Response:
    """Show a document in words and byte for byte, and who signs it."""
    document = waiting_document(visit, visit.path["document"])
    content, person = document.content, visit.signed_in
    sandbox = str(read_status(visit.front.home.status_path).get("sandbox", ""))
    return visit.render(
        "sign.html",
        document=document,
        content=content,
        rows=wording.rows(content, dataset_of(visit.front, content), document.title, visit.front.home.settings()),
        meaning=wording.meaning(content),
        verb=_verb(content),
        mine=document.waits_for(person.id),
        passkey=ceremonies.descriptors([person]),
        sandbox=sandbox,
        too_weak=not isinstance(content, Revocation) and level_of(sandbox) < level_of(content.sandbox_min),
    )


def dataset_of(front: Front, content: Statement | Policy | Revocation) -> Dataset | None:
    """Return the dataset that a document names, None where this node does not have it."""
    if isinstance(content, Revocation):
        return None
    try:
        return front.datasets.get(content.dataset.id)
    except NodeError:
        return None


def _verb(content: Statement | Policy | Revocation) -> str:
    if isinstance(content, Revocation):
        return "revoked"
    return content.meaning


def sign(visit: Visit) -> Response:
    """Take a person's signature in; when everybody has signed, the document counts.

    Raises:
        Forbidden: E_FORBIDDEN when the document does not wait for this person.
        Refusal: E_WA_*, E_SIG, E_WA_COUNTER, and what the document's own checks say.
    """
    front, person = visit.front, visit.signed_in
    document = waiting_document(visit, visit.path["document"])
    if not document.waits_for(person.id):
        raise Forbidden("E_FORBIDDEN", "This does not wait for your signature.")
    with front.ledger() as ledger:
        signature = ceremonies.verify(ledger, person, ceremonies.read_assertion(visit.form), document.to_sign)
        document = document.signed_by(person.id, signature)
        facts = {"of": document.kind, "about": document.title, "role": person.role, "document": document.id}
        ledger.journal.append("signed", person.name, facts)
        following = _conclude(front, ledger, document, signature, person.id)
    front.hurry()
    return JSONResponse({"go": following})


def _conclude(front: Front, ledger: Ledger, document: Document, signature: bytes, signer: str) -> str:
    """Do what a signature asks for; return the page that tells how it ended."""
    match document.kind:
        case "statement":
            return _conclude_statement(front, ledger, document, signature, signer)
        case "policy":
            return _conclude_policy(front, ledger, document)
        case "revocation":
            return _conclude_revocation(front, ledger, document)


def _conclude_statement(front: Front, ledger: Ledger, document: Document, signature: bytes, signer: str) -> str:
    signing = Signing(front.home, ledger)
    assert isinstance(document.draft, Draft)  # noqa: S101  (statements come from drafts)
    draft = signing.add(document.draft, signer, signature)
    front.documents.forget(document)
    if draft.awaited:
        return f"/sign/{draft.id}"
    return f"/approvals/{signing.finish(draft).statement_id}"


def _conclude_policy(front: Front, ledger: Ledger, document: Document) -> str:
    if document.awaited:
        front.documents.put(document)
        return f"/sign/{document.id}"
    kept = Policies(front.home).keep(document.payload, document.signatures)
    front.documents.forget(document)
    ledger.journal.append("policy_in_force", kept.id, {"scripts": len(kept.policy.scripts)})
    return "/policies"


def _conclude_revocation(front: Front, ledger: Ledger, document: Document) -> str:
    revocation = Revoking(front.home).carry_out(document.payload, document.signatures)
    front.documents.forget(document)
    ledger.journal.append("revoked", revocation.statement, {"about": document.title, "reason": revocation.reason})
    known = any(signed.statement_id == revocation.statement for signed in front.approvals.all())
    return f"/approvals/{revocation.statement}" if known else "/policies"


def drop(visit: Visit) -> Response:
    """Give up a document that waits, signed by one or by nobody."""
    front = visit.front
    document = waiting_document(visit, visit.path["document"])
    front.documents.forget(document)
    with front.ledger() as ledger:
        if document.draft is not None:
            Signing(front.home, ledger).drop(document.draft)
        if document.signatures:
            ledger.journal.append("dropped", document.id, {"about": document.title, "by": visit.signed_in.name})
    visit.session.notice = "It was given up; nobody's signature under it counts."
    return visit.go("/")
