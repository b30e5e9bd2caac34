"""The log, of everything the person may audit or of one study."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpResponse

from accounts.permissions import Permission, can, check
from audit.models import Event
from audit.services import note_export
from federation.runs import selectors as runs
from portal.web.downloads import csv_file, json_lines
from portal.web.forms.events import EventFilterForm
from portal.web.pages import PageRequest, page, render_page
from portal.web.presenters.events import event_rows
from portal.web.presenters.exports import EVENT_COLUMNS, event_record
from portal.web.views.studies import find_study, speaks_in, study_frame
from studies.lifecycle.models import Study
from studies.lifecycle.selectors import visible_to as visible_studies

PAGE = 50


@page()
def events(request: PageRequest) -> HttpResponse:
    """Every event that the person may read."""
    studies = [(str(pk), title) for pk, title in visible_studies(request.user).values_list("pk", "title")]
    found = runs.events_for(request.user)
    if request.GET.get("form"):
        return _as_file(request, found, studies, None)
    return render_page(request, "events/list.html", {**_log(request, found, studies), "base_template": "base.html"})


@page()
def study_events(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The events of one study."""
    study = find_study(request, study_id)
    reads_all = can(request.user, Permission.AUDIT_VIEW, study)
    if not reads_all and not speaks_in(request, study):
        check(request.user, Permission.AUDIT_VIEW, study)
    found = runs.events_for(request.user).filter(study=str(study.pk))
    if request.GET.get("form"):
        return _as_file(request, found, [], study)
    frame = {**study_frame(request, study, "study-events"), "base_template": "studies/base.html"}
    return render_page(request, "events/list.html", {**_log(request, found, []), "is_part": not reads_all, **frame})


FORMS = {"csv": "CSV", "jsonl": "JSON lines"}


def _as_file(
    request: PageRequest, rows: QuerySet[Event], studies: list[tuple[str, str]], study: Study | None
) -> HttpResponse:
    """The entries that the filters leave, oldest first, as a file; taking it is an entry of the log itself."""
    form = request.GET["form"]
    if form not in FORMS:
        raise Http404
    filters = EventFilterForm(request.GET, studies=studies)
    found = _narrowed(rows, filters.cleaned_data if filters.is_valid() else {}).order_by("pk")
    records = [event_record(event) for event in found]
    note_export(by=request.user, obj=study or request.user, study=study, entries=len(records), form=FORMS[form])
    if form == "csv":
        return csv_file("fedstudy-log.csv", records, EVENT_COLUMNS)
    return json_lines("fedstudy-log.jsonl", records)


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
