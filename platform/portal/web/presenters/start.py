"""The sites of a run that is planned: what part each has, and what it still lacks before a run can start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.forms import BoundField
from django.utils.translation import gettext as _

from portal.web.forms.runs import RunForm
from portal.web.presenters.levels import Level, level_of
from portal.web.presenters.picture import Picture, decision_of
from portal.web.presenters.studies import presence_of
from studies.enrolment.models import Enrolment
from studies.enrolment.states import OPEN
from studies.scripts.models import ScriptVersion


@dataclass(frozen=True)
class SiteRow:
    """A site, its level, whether a run could ask it now, and why not.

    Attributes:
        part: the field of its part in the run; None where it cannot have one yet.
    """

    name: str
    level: Level
    is_ready: bool
    detail: str
    part: BoundField | None


def site_rows(picture: Picture, form: RunForm) -> list[SiteRow]:
    """One row for each site that was invited and did not leave."""
    rows = [item for item in picture.enrolments if item.state in OPEN]
    return [_site_row(picture, form, item) for item in rows]


def _site_row(picture: Picture, form: RunForm, enrolment: Enrolment) -> SiteRow:
    is_ready, detail = _readiness(picture, form.chosen, enrolment)
    return SiteRow(enrolment.site.name, level_of(enrolment.level), is_ready, detail, form.part_of(enrolment))


def _readiness(picture: Picture, version: ScriptVersion, enrolment: Enrolment) -> tuple[bool, str]:
    if enrolment.state == "invited":
        return False, _("Has not answered the invitation.")
    if enrolment.state == "accepted":
        return False, _("No active node with a valid dataset yet.")
    decision = decision_of(picture.approval_of(version, enrolment))
    reasons = {
        "awaited": _("Has not signed this version."),
        "rejected": _("Rejected this version."),
        "revoked": _("Revoked its approval."),
        "expired": _("Its approval has expired."),
    }
    if decision in reasons:
        return False, reasons[decision]
    if presence_of(picture.node_of(enrolment)) != "online":
        return False, _("Signed; its node is offline now.")
    return True, _("Ready, signed, online.")


def best_version(picture: Picture, versions: Sequence[ScriptVersion]) -> ScriptVersion:
    """The version that most sites approved; of equals the newest."""

    def approved(version: ScriptVersion) -> int:
        return sum(decision_of(picture.approval_of(version, item)) == "approved" for item in picture.taking_part)

    return max(versions, key=approved)
