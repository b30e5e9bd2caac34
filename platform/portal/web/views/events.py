"""The log, of everything the person may audit or of one study."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse

from accounts.permissions import Permission, check
from audit import selectors
from audit.models import Event
from portal.web.forms.events import EventFilterForm
from portal.web.pages import PageRequest, page, render_page
from portal.web.presenters.events import event_rows
from portal.web.views.studies import find_study, study_frame
from studies.lifecycle.selectors import visible_to as visible_studies

PAGE = 50


@page()
def events(request: PageRequest) -> HttpResponse:
    """Every event that the person may read."""
    studies = [(str(pk), title) for pk, title in visible_studies(request.user).values_list("pk", "title")]
    context = _log(request, selectors.visible_to(request.user), studies)
    return render_page(request, "events/list.html", {**context, "base_template": "base.html"})


@page()
def study_events(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The events of one study."""
    study = find_study(request, study_id)
    check(request.user, Permission.AUDIT_VIEW, study)
    context = _log(request, selectors.visible_to(request.user).filter(study=str(study.pk)), [])
    frame = {**study_frame(request, study, "study-events"), "base_template": "studies/base.html"}
    return render_page(request, "events/list.html", {**context, **frame})


def _log(request: PageRequest, rows: QuerySet[Event], studies: list[tuple[str, str]]) -> dict[str, Any]:
    """One page of the log, by key: the page after an entry stays the same while new entries come."""
    form = EventFilterForm(request.GET or None, studies=studies)
    wanted = form.cleaned_data if form.is_valid() else {}
    rows = _narrowed(rows, wanted)
    before = request.GET.get("before", "")
    if before.isdecimal():
        rows = rows.filter(pk__lt=int(before[:18]))
    found = list(rows.order_by("-pk")[: PAGE + 1])
    return {
        "rows": event_rows(found[:PAGE]),
        "next_before": found[PAGE - 1].pk if len(found) > PAGE else None,
        "is_later_page": before.isdecimal(),
        "is_filtered": any(wanted.values()),
        "filter_form": form,
    }


def _narrowed(rows: QuerySet[Event], wanted: dict[str, str]) -> QuerySet[Event]:
    if wanted.get("study"):
        rows = rows.filter(study=wanted["study"])
    if wanted.get("area"):
        rows = rows.filter(action__startswith=f"{wanted['area']}:")
    if wanted.get("outcome"):
        rows = rows.filter(outcome=wanted["outcome"])
    return rows
