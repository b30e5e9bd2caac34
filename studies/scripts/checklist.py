"""What a reviewer at a site goes through before signing, and who ticked what.

The list is fixed and has an edition; a tick belongs to the edition in which it was set, so a changed list asks again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext_noop

from accounts.models import Site, User
from accounts.permissions import Permission, check_for_site
from audit.services import record
from fedstudy_core.errors import Conflict, Invalid
from studies.enrolment import states as enrolment_states
from studies.enrolment.models import Enrolment
from studies.scripts.models import ReviewTick, ScriptVersion

EDITION = 1


@dataclass(frozen=True)
class Item:
    """One thing to make sure of."""

    key: str
    question: str
    hint: str


ITEMS = (
    Item(
        "purpose",
        gettext_noop("The purpose is clear"),
        gettext_noop("The script serves the study's aims as the protocol states them."),
    ),
    Item(
        "data-use",
        gettext_noop("It uses the data that it needs, and no more"),
        gettext_noop("Which columns it reads, and what for."),
    ),
    Item(
        "outputs",
        gettext_noop("What leaves the site is understood"),
        gettext_noop("Arrays, sums and metrics; nothing that names a patient."),
    ),
    Item(
        "source",
        gettext_noop("The source was read"),
        gettext_noop("All files that a site runs, or the changes against what was approved before."),
    ),
    Item(
        "findings",
        gettext_noop("The findings were read and are explained"),
        gettext_noop("Each of medium or high risk has a reason."),
    ),
    Item(
        "parameters",
        gettext_noop("The range of each parameter is acceptable"),
        gettext_noop("A run may choose anything within the ranges."),
    ),
    Item(
        "limits",
        gettext_noop("Limits fit the machine"),
        gettext_noop("Time, memory, bytes out, and the sandbox that the dataset asks for."),
    ),
    Item(
        "dependencies",
        gettext_noop("The packages it depends on are known here"),
        gettext_noop("They are installed at the node, by the hospital."),
    ),
    Item(
        "questions",
        gettext_noop("Our questions were answered"),
        gettext_noop("No question of this site is open."),
    ),
)
KEYS = frozenset(item.key for item in ITEMS)


@transaction.atomic
def save_ticks(*, version: ScriptVersion, site: Site, items: Collection[str], by: User) -> list[ReviewTick]:
    """Set which items a reviewer has ticked for a site; those that stay keep their time.

    Raises:
        Forbidden, NotFound: `by` does not speak for the site.
        Invalid: E_INVALID for an item that the list does not have.
        Conflict: E_STATE when the site takes no part in the study, the version was taken back, or the study is
            archived.
    """
    check_for_site(by, Permission.SCRIPT_APPROVE, site, version.script.study)
    unknown = set(items) - KEYS
    if unknown:
        raise Invalid("E_INVALID", f"The checklist has no “{min(unknown)[:40]}”.")
    locked = ScriptVersion.objects.select_for_update(of=("self",)).select_related("script__study").defer("bundle")
    version = locked.get(pk=version.pk)
    if version.state != "submitted":
        raise Conflict("E_STATE", "This version was taken back.")
    if version.script.study.state == "archived":
        raise Conflict("E_STATE", "This study is archived.")
    open_to = Enrolment.objects.filter(study=version.script.study_id, site=site, state__in=enrolment_states.OPEN)
    if not open_to.exists():
        raise Conflict("E_STATE", f"{site.name} takes no part in this study.")
    rows = ReviewTick.objects.filter(version=version, site=site, reviewer=by, edition=EDITION)
    rows.exclude(item__in=items).delete()
    known = set(rows.values_list("item", flat=True))
    fields = {"version": version, "site": site, "reviewer": by, "edition": EDITION}
    ReviewTick.objects.bulk_create(ReviewTick(item=item, **fields) for item in sorted(set(items) - known))
    detail = {"items": ", ".join(sorted(set(items))), "ticked": len(set(items)), "of": len(ITEMS), "edition": EDITION}
    record(
        action="scripts:checklist:saved",
        actor=by,
        obj=version,
        study=version.script.study_id,
        site=site,
        detail={"site_name": site.name, **detail},
    )
    return list(rows.all())
