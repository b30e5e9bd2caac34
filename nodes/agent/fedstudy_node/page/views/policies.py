"""Standing policies: which scripts the node admits by itself, and writing one."""

from typing import Any

from starlette.responses import Response

from fedstudy_core import canonical
from fedstudy_core.errors import Invalid
from fedstudy_core.policy import policy_payload
from fedstudy_core.statement import SANDBOX_WORDS
from fedstudy_node.approvals import LONGEST_DAYS, Limits
from fedstudy_node.errors import NodeError
from fedstudy_node.page import wording
from fedstudy_node.page.documents import Document
from fedstudy_node.page.views.approvals import write_revocation
from fedstudy_node.page.views.review import chosen_dataset, limits_of, partners, signers
from fedstudy_node.page.views.signing import dataset_of
from fedstudy_node.page.visits import Visit
from fedstudy_node.policies import Policies, build_policy
from fedstudy_node.signing import check_people, check_unchanged


def policies(visit: Visit) -> Response:
    """List the policies in force and offer the form for another."""
    front = visit.front
    return visit.render(
        "policies.html",
        policies=[
            (kept, wording.rows(kept.policy, dataset_of(front, kept.policy), "", front.home.settings()))
            for kept in Policies(front.home).in_force()
        ],
        datasets=front.datasets.all(),
        scripts=_newest_first(front.offers.rows()),
        limits=Limits(),
        longest_days=LONGEST_DAYS,
        levels=SANDBOX_WORDS,
        seconds=partners(front, visit.signed_in),
    )


def _newest_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["submitted_at"]), reverse=True)


def write(visit: Visit) -> Response:
    """Write the policy that the form asks for, and show it to be signed.

    Raises:
        FedStudyError: E_INVALID, E_TOO_LONG, E_DATASET, E_SECOND_PERSON.
    """
    front = visit.front
    dataset = chosen_dataset(visit, "")
    chosen = [
        row for row in front.offers.rows() if visit.text(f"script-{row['sha256']}") and row["study"] == dataset.study
    ]
    if not chosen:
        raise Invalid("E_INVALID", "Choose at least one script of the dataset's study.")
    people = signers(visit, "standing policy")
    check_people(dataset, people)
    check_unchanged(front.datasets, dataset)
    with front.ledger() as ledger:
        policy = build_policy(
            front.home,
            dataset=dataset,
            limits=limits_of(visit),
            scripts=[str(row["sha256"]) for row in chosen],
            approvers=[{"key": entry.id, "name": entry.name, "role": entry.role} for entry in people],
            sequence=ledger.next_number("statement"),
        )
    title = "standing policy for " + ", ".join(f"{row['script']} {row['number']}" for row in chosen)
    document = Document("policy", policy_payload(policy), canonical.plain_text(title), tuple(policy.approvers))
    return visit.go(f"/sign/{front.documents.put(document).id}")


def revoke(visit: Visit) -> Response:
    """Write a revocation of a policy, and show it to be signed. Raises NodeError (E_NOT_FOUND)."""
    wanted = visit.path["policy"]
    if wanted not in {kept.id for kept in Policies(visit.front.home).in_force()}:
        raise NodeError("E_NOT_FOUND", "No such policy is in force here.")
    return write_revocation(visit, wanted, f"standing policy {wanted[:12]}")
