"""The review of one script version, and the form that turns it into a statement to sign."""

from dataclasses import dataclass
from typing import get_args

from starlette.responses import Response

from fedstudy_core.approvers import ROLES, ApproverKey
from fedstudy_core.errors import Invalid
from fedstudy_core.packages import missing_packages
from fedstudy_core.statement import SANDBOX_WORDS, Level, level_of
from fedstudy_node.approvals import LONGEST_DAYS, Limits
from fedstudy_node.comparing import last_approved
from fedstudy_node.datasets import Dataset
from fedstudy_node.declared import LEADERS, sent_back
from fedstudy_node.errors import NodeError
from fedstudy_node.levels import asked_for
from fedstudy_node.offers import Offer
from fedstudy_node.page import reading
from fedstudy_node.page.documents import of_draft
from fedstudy_node.page.front import Front
from fedstudy_node.page.standing import standings
from fedstudy_node.page.visits import Visit
from fedstudy_node.signing import Signing
from fedstudy_node.status import read_status

MEBIBYTE = 1024**2


@dataclass(frozen=True)
class OfferedDataset:
    """A dataset of the study as the form shows it; `state` says whether the file is still what was offered."""

    dataset: Dataset
    state: str


def show(visit: Visit) -> Response:
    """Show what a script asks for, its files, what changed, and the form."""
    front = visit.front
    offer = front.offers.fetch(visit.path["version"], None)
    earlier = last_approved(front.home, offer)
    known = [item for item in standings(front) if item.signed.version == offer.version]
    now = read_status(front.home.status_path)
    return visit.render(
        "review.html",
        offer=offer,
        script=reading.read(offer.fab, earlier.fab if earlier else None),
        outputs=sent_back(offer.bundle),
        level=offer.level,
        asked_for=asked_for(offer.level),
        leader=LEADERS[offer.bundle.declaration.server],
        missing=missing_packages(offer.fab, "client"),
        earlier=earlier,
        known=known,
        datasets=[OfferedDataset(item, state_of(front, item)) for item in datasets_of(front, offer.study)],
        limits=Limits(),
        longest_days=LONGEST_DAYS,
        levels=SANDBOX_WORDS,
        sandbox=str(now.get("sandbox", "")),
        sandbox_missing=str(now.get("sandbox_missing", "")),
        level_of=level_of,
        seconds=partners(front, visit.signed_in),
    )


def datasets_of(front: Front, study: str) -> list[Dataset]:
    """Return what this node offers to a study."""
    return [item for item in front.datasets.all() if item.study == study]


def state_of(front: Front, dataset: Dataset) -> str:
    """Say whether a dataset's file is still the one that was offered."""
    try:
        unchanged = front.datasets.present_fingerprint(dataset) == dataset.fingerprint
    except NodeError:
        return "missing"
    return "unchanged" if unchanged else "changed"


def partners(front: Front, person: ApproverKey) -> list[ApproverKey]:
    """Return who could sign beside this person: somebody else in the other role."""
    return [entry for entry in front.trust.all() if entry.name != person.name and entry.role != person.role]


def write(visit: Visit) -> Response:
    """Write the statement that the form asks for, and show it to be signed.

    Raises:
        FedStudyError: E_INVALID, E_TOO_LONG, E_DATASET, E_SECOND_PERSON.
    """
    front = visit.front
    offer: Offer = front.offers.fetch(visit.path["version"], None)
    decision = visit.text("decision")
    if decision not in ("approved", "rejected"):
        raise Invalid("E_INVALID", "Say whether you approve or reject.")
    dataset = chosen_dataset(visit, offer.study)
    with front.ledger() as ledger:
        draft = Signing(front.home, ledger).begin(offer, dataset, limits_of(visit), decision, signers(visit, decision))
    document = front.documents.put(of_draft(draft))
    return visit.go(f"/sign/{document.id}")


def chosen_dataset(visit: Visit, study: str) -> Dataset:
    """Return the dataset that the form names. Raises NodeError (E_DATASET)."""
    dataset = visit.front.datasets.get(visit.text("dataset"))
    if study and dataset.study != study:
        raise NodeError("E_DATASET", "This dataset is not offered to this study.")
    return dataset


def signers(visit: Visit, decision: str) -> list[ApproverKey]:
    """Return who signs: the person at the page, and the second one that the form names. Raises Invalid (E_INVALID)."""
    me, second = visit.signed_in, visit.text("second")
    if not second or decision == "rejected":
        return [me]
    found = [entry for entry in partners(visit.front, me) if entry.id == second]
    if not found:
        raise Invalid("E_INVALID", "The second person is not somebody else who may sign here.")
    return sorted([me, *found], key=lambda entry: ROLES.index(entry.role))


def limits_of(visit: Visit) -> Limits:
    """Return the limits that the form gives. Raises Invalid (E_INVALID)."""
    standard = Limits()
    levels: dict[str, Level] = {level: level for level in get_args(Level)}
    sandbox = levels.get(visit.text("sandbox_min") or standard.sandbox_min)
    if sandbox is None:
        raise Invalid("E_INVALID", "There is no such sandbox level.")
    return Limits(
        days=visit.number("days", standard.days),
        rounds=visit.number("rounds", standard.rounds),
        min_sites=visit.number("min_sites", standard.min_sites),
        min_rows=visit.number("min_rows", standard.min_rows),
        wall_s=visit.number("wall_s", standard.wall_s),
        memory_mb=visit.number("memory_mb", standard.memory_mb),
        max_bytes=visit.number("max_mib", standard.max_bytes // MEBIBYTE) * MEBIBYTE,
        max_norm=visit.number("max_norm", 0) or None,
        sandbox_min=sandbox,
    )
