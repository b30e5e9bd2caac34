"""The sites of a run: level, part, and under which statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from federation.runs.models import Participant
from federation.runs.roles import ADDS, PHASES_OF, TESTS, TRAINS
from fedstudy_core.levels import PHASES_AT
from portal.web.presenters.levels import Level, level_of
from portal.web.presenters.signatures import under
from studies.scripts.signatures import Signature

PARTS = {
    TRAINS: gettext_noop("trains and tests"),
    ADDS: gettext_noop("adds to exact sums and tests"),
    TESTS: gettext_noop("only tests the model"),
}


@dataclass(frozen=True)
class RunSite:
    """A site of a run.

    Attributes:
        has_fallen: its level fell while the run was under way, below what its part asks for.
        statement_id, signatures: empty before the start.
    """

    enrolment: UUID
    name: str
    level: Level
    part: str
    has_fallen: bool
    statement_id: str
    signatures: list[Signature]


def present_sites(participants: Iterable[Participant]) -> list[RunSite]:
    """The sites in the run's order; with enrolment, site and approval at hand."""
    return [_present(item) for item in participants]


def _present(item: Participant) -> RunSite:
    return RunSite(
        enrolment=item.enrolment_id,
        name=item.enrolment.site.name,
        level=level_of(item.level),
        part=_(PARTS[item.role]),
        has_fallen=not PHASES_OF[item.role] <= PHASES_AT[item.level],
        statement_id=item.approval.statement_id if item.approval else "",
        signatures=under(item.approval),
    )
