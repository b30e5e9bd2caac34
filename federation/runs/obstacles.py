"""What is missing at each site before a run can start."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from federation.runs.models import Participant, Run
from federation.runs.participants import LOWERED
from federation.runs.phases import OWN_SERVER, sites_mixed
from federation.runs.pooled import REVOKED, holds_what_it_may_not, levels_where_pooled
from federation.runs.roles import PHASES_OF, TESTS
from fedstudy_core.counts import counted
from fedstudy_core.levels import DOES, PHASES, allows
from studies.scripts.models import Approval
from studies.scripts.selectors import approvals_in_force


@dataclass(frozen=True)
class Obstacle:
    """One thing that is missing before a run can start."""

    site: str
    code: str
    detail: str


def obstacles(run: Run, at: datetime | None = None) -> list[Obstacle]:
    """What is missing before the run can start, at most one thing a site; empty when nothing is."""
    approvals = approvals_of(run, at or timezone.now())
    rows = run.participants.select_related("enrolment__site", "enrolment__dataset__pooled_table", "node")
    participants, found = list(rows), []
    testing = [item.enrolment_id for item in participants if item.role == TESTS]
    pooled = levels_where_pooled([item.enrolment for item in participants], testing)
    for participant in participants:
        approval = approvals.get(approval_key(participant))
        problem = _standing(participant, pooled.get(participant.enrolment_id)) or _signing(run, participant, approval)
        if problem is not None:
            found.append(Obstacle(participant.enrolment.site.name, *problem))
    return found


def trainers_left(run: Run, missing: Collection[Obstacle]) -> int:
    """How many of the sites that are to train could take part."""
    hindered = {item.site for item in missing}
    rows = run.participants.select_related("enrolment__site")
    return sum(item.trains and item.enrolment.site.name not in hindered for item in rows)


def approval_key(participant: Participant) -> tuple[str, str]:
    """By what `approvals_of` finds the approval of a participant."""
    return str(participant.node_id), str(participant.enrolment.dataset_id)


def approvals_of(run: Run, at: datetime) -> dict[tuple[str, str], Approval]:
    """The approvals of the run's script that are in force, by node and dataset."""
    return {
        (str(approval.node_id), str(approval.dataset_id)): approval for approval in approvals_in_force(run.version, at)
    }


def _standing(participant: Participant, pooled_at: str | None) -> tuple[str, str] | None:
    """What keeps a site out whatever it has signed.

    Args:
        pooled_at: the level of its consent, where its rows are in the table of the run's pool node.
    """
    enrolment, site = participant.enrolment, participant.enrolment.site.name
    if enrolment.state != "ready":
        return "E_NOT_READY", f"{site} is {enrolment.state}, not ready."
    if participant.node.state != "active":
        return "E_NODE_UNAVAILABLE", f"{site}'s node is {participant.node.state}."
    if holds_what_it_may_not(enrolment.dataset):
        return REVOKED, f"A site took back rows that are in the table of {site}."
    for phase in PHASES:
        if participant.is_asked_for(phase) and not (
            allows(enrolment.level, phase) and allows(participant.level, phase)
        ):
            return LOWERED, f"{site} takes part at level {enrolment.level} now, which does not allow {DOES[phase]}."
        if pooled_at and participant.is_asked_for(phase) and not allows(pooled_at, phase):
            return LOWERED, f"Rows of {site} count in the pool of this run: in a run planned anew it only tests."
    return None


def _signing(run: Run, participant: Participant, approval: Approval | None) -> tuple[str, str] | None:
    """What the site's signed statement does not allow."""
    site = participant.enrolment.site.name
    if approval is None:
        return "E_NOT_APPROVED", f"{site} has not signed this script version."
    statement = approval.statement
    if statement.get("server", "strategy") != run.version.declaration.get("server", "strategy"):
        return "E_CENTRE", f"{site} approved another way to lead the rounds."
    unsigned = [DOES[phase] for phase in _phases_asked(run, participant) if phase not in statement["outputs"]["phases"]]
    if unsigned:
        return "E_OUTPUT_SCHEMA", f"{site} has not signed for {' and '.join(unsigned)}."
    fewest = statement["privacy"]["min_sites"]
    only_tests = participant.role == TESTS and run.strategy != OWN_SERVER  # nothing of it goes to other sites
    if fewest > sites_mixed(run) and not only_tests:
        detail = (
            f"{site} asks that {counted(fewest, 'site')} be mixed in what others get; here it is {sites_mixed(run)}."
        )
        return "E_MIN_SITES", detail
    return None


def _phases_asked(run: Run, participant: Participant) -> list[str]:
    """The phases in which the run asks the site."""
    declaration = run.version.declaration
    asks_query = declaration.get("sums") or (participant.trains and declaration.get("initial"))
    unused = set() if asks_query else {"query"}
    return [phase for phase in PHASES if phase in PHASES_OF[participant.role] - unused]
