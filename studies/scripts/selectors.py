"""Read access to scripts and approvals, restricted to what a person, or a node, may see."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.fields.json import KT

from accounts.models import User
from accounts.permissions import Permission
from studies.enrolment.selectors import taking_part
from studies.lifecycle.selectors import studies_with
from studies.scripts.models import Approval, Script, ScriptVersion


def scripts_visible_to(user: User) -> QuerySet[Script]:
    """The scripts of the studies in which the person may read scripts."""
    return Script.objects.filter(study__in=studies_with(user, Permission.SCRIPT_READ))


def versions_visible_to(user: User) -> QuerySet[ScriptVersion]:
    """The versions of those scripts."""
    return ScriptVersion.objects.filter(script__in=scripts_visible_to(user)).select_related("script__study")


def approvals_visible_to(user: User) -> QuerySet[Approval]:
    """The approvals of those versions, of all sites."""
    return Approval.objects.filter(version__script__in=scripts_visible_to(user))


def versions_for_site(site_id: UUID) -> QuerySet[ScriptVersion]:
    """The submitted versions in the studies in which the site takes part, newest first; bundles are not loaded."""
    studies = taking_part(site_id).values("study")
    rows = ScriptVersion.objects.filter(script__study__in=studies, state="submitted")
    return rows.select_related("script__study").defer("bundle").order_by("-submitted_at")


def approvals_in_force(version: ScriptVersion, at: datetime) -> QuerySet[Approval]:
    """The approvals of a version that hold at a moment: signed, not revoked or expired, for data that is still offered.

    What counts in the end is the node's own check of its own copy.
    """
    return Approval.objects.filter(
        version=version,
        version__state="submitted",
        decision="approved",
        state="valid",
        signed_at__lte=at,
        not_after__gt=at,
        dataset__state="valid",
        dataset__fingerprint=KT("statement__dataset__fingerprint"),
    ).select_related("site", "dataset")


def latest_word(version: ScriptVersion, node_id: UUID | str) -> Approval | None:
    """The newest statement of a node on a version."""
    return Approval.objects.filter(Q(node_id=str(node_id)), version=version).order_by("-recorded_at").first()
