"""Read access to scripts, their reviews and approvals, restricted to what a person, or a node, may see."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet
from django.db.models.fields.json import KT

from accounts.models import User
from accounts.permissions import Permission
from accounts.selectors import sites_with
from fedstudy_core.analysis import EDITION
from studies.enrolment.selectors import taking_part
from studies.lifecycle.selectors import studies_with
from studies.scripts.models import Approval, ReviewComment, ReviewThread, ReviewTick, Script, ScriptVersion

EXPIRES_SOON = timedelta(days=14)


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
        not_before__lte=at,
        not_after__gt=at,
        dataset__state="valid",
        dataset__fingerprint=KT("statement__dataset__fingerprint"),
    ).select_related("site", "dataset")


def replaced_versions(version: ScriptVersion) -> list[UUID]:
    """The versions that a version replaces: the one before it, the one before that, and so on."""
    before = dict(ScriptVersion.objects.filter(script=version.script_id).values_list("pk", "replaces"))
    found: list[UUID] = []
    step = before.get(version.pk)
    while step is not None and step not in found:
        found.append(step)
        step = before.get(step)
    return found


def last_approved(version: ScriptVersion, sites: Iterable[UUID]) -> ScriptVersion | None:
    """The version of the same script, before this one, that one of the sites approved last."""
    approvals = Approval.objects.filter(
        version__script=version.script_id, version__number__lt=version.number, site__in=list(sites), decision="approved"
    )
    newest = approvals.order_by("-recorded_at").values_list("version", flat=True).first()
    if newest is None:
        return None
    return ScriptVersion.objects.filter(pk=newest).select_related("script").defer("bundle").first()


def threads_visible_to(user: User) -> QuerySet[ReviewThread]:
    """The threads on the versions that the person sees, oldest first, with their comments."""
    rows = ReviewThread.objects.filter(version__script__in=scripts_visible_to(user))
    comments = ReviewComment.objects.select_related("author").order_by("written_at", "pk")
    related = rows.select_related("site", "opened_by", "resolved_by")
    return related.prefetch_related(Prefetch("comments", comments)).order_by("opened_at", "pk")


def ticks_visible_to(user: User) -> QuerySet[ReviewTick]:
    """The checklists of the sites that the person speaks for: each site keeps its own to itself."""
    rows = ReviewTick.objects.filter(
        version__script__in=scripts_visible_to(user), site__in=sites_with(user, Permission.SCRIPT_APPROVE)
    )
    return rows.select_related("reviewer", "site").order_by("site__name", "reviewer__name", "ticked_at")


def expiring_approvals(at: datetime) -> QuerySet[Approval]:
    """The approvals that are in force and end within two weeks."""
    rows = Approval.objects.filter(
        state="valid", decision="approved", not_after__gt=at, not_after__lte=at + EXPIRES_SOON
    )
    rows = rows.filter(version__state="submitted", version__script__study__state__in=["recruiting", "active"])
    return rows.select_related("site", "version__script__study").defer("envelope", "revocation", "version__bundle")


def outdated_findings() -> QuerySet[ScriptVersion]:
    """The versions whose findings come from rules that have changed since."""
    return ScriptVersion.objects.filter(edition__lt=EDITION).defer("bundle").order_by("-submitted_at")


def latest_word(version: ScriptVersion, node_id: UUID | str) -> Approval | None:
    """The newest statement of a node on a version."""
    return Approval.objects.filter(Q(node_id=str(node_id)), version=version).order_by("-recorded_at").first()
