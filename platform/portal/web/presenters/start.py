"""What each site still lacks before a run of a version can start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from portal.web.presenters.picture import Picture, decision_of
from portal.web.presenters.studies import presence_of
from studies.enrolment.models import Enrolment
from studies.scripts.models import ScriptVersion


@dataclass(frozen=True)
class SiteReadiness:
    """A site, whether a run could ask it now, and why not."""

    name: str
    is_ready: bool
    detail: str


def readiness_rows(picture: Picture, version: ScriptVersion) -> list[SiteReadiness]:
    """One row for each site that was invited and did not leave."""
    rows = [item for item in picture.enrolments if item.state in ("invited", "accepted", "ready")]
    return [_row(picture, version, item) for item in rows]


def _row(picture: Picture, version: ScriptVersion, enrolment: Enrolment) -> SiteReadiness:
    name = enrolment.site.name
    if enrolment.state == "invited":
        return SiteReadiness(name, False, _("Has not answered the invitation."))
    if enrolment.state == "accepted":
        return SiteReadiness(name, False, _("No active node with a valid dataset yet."))
    decision = decision_of(picture.approval_of(version, enrolment))
    reasons = {
        "awaited": _("Has not signed this version."),
        "rejected": _("Rejected this version."),
        "revoked": _("Revoked its approval."),
        "expired": _("Its approval has expired."),
    }
    if decision in reasons:
        return SiteReadiness(name, False, reasons[decision])
    if presence_of(picture.node_of(enrolment)) != "online":
        return SiteReadiness(name, False, _("Signed; its node is offline now."))
    return SiteReadiness(name, True, _("Ready, signed, online."))


def best_version(picture: Picture, versions: Sequence[ScriptVersion]) -> ScriptVersion:
    """The version that most sites approved; of equals the newest."""

    def approved(version: ScriptVersion) -> int:
        return sum(decision_of(picture.approval_of(version, item)) == "approved" for item in picture.taking_part)

    return max(versions, key=approved)
