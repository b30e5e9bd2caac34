"""The log, of everything the person may audit or of one study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db.models import Max, QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase

from accounts.models import Site
from accounts.permissions import Permission, can, check
from audit.export import files as proven_files
from audit.models import Event
from audit.readings import note_log_read
from audit.selectors import Narrowing, indexed_with_words, narrowed, newest_with_words
from audit.services import note_export
from federation.runs import selectors as runs
from federation.runs.documents import Documents
from nodes.registry.witnesses import best_of_sites, quorum
from portal.downloads import zip_stream
from portal.keysets import Page
from portal.web.downloads import csv_stream, json_lines_stream
from portal.web.forms.events import EventFilterForm, Options
from portal.web.lists import page_of
from portal.web.pages import PageRequest, page, render_page
from portal.web.presenters.events import event_rows
from portal.web.presenters.exports import EVENT_COLUMNS, FORMS, event_record, mark_of
from portal.web.views.studies import find_study, speaks_in, study_frame
from studies.enrolment.selectors import sites_of, sites_seen_by
from studies.lifecycle.models import Study
from studies.lifecycle.selectors import visible_to as visible_studies

MOST_STUDIES, MOST_SITES = 100, 300
AT_ONCE = 2_000


@page()
def events(request: PageRequest) -> HttpResponseBase:
    """Every event that the person may read."""
    newest = visible_studies(request.user).order_by("-created_at")[:MOST_STUDIES]
    studies = [(str(pk), title) for pk, title in newest.values_list("pk", "title")]
    form = EventFilterForm(request.GET or None, studies=studies, sites=_named(sites_seen_by(request.user)))
    rows = runs.events_for(request.user)
    found = narrowed(rows, form.narrowing)
    if request.GET.get("form"):
        return _as_file(request, found, None)
    asked = form.narrowing.study
    note_log_read(by=request.user, study=visible_studies(request.user).filter(pk=asked).first() if asked else None)
    searched = _searched(request, rows, form.narrowing)
    shown = page_of(request, found, "-id") if searched is None else searched
    return render_page(request, "events/list.html", {**_log(request, shown, form), "base_template": "base.html"})


@page()
def study_events(request: PageRequest, study_id: UUID) -> HttpResponseBase:
    """The events of one study."""
    study = find_study(request, study_id)
    reads_all = can(request.user, Permission.AUDIT_VIEW, study)
    if not reads_all and not speaks_in(request, study):
        check(request.user, Permission.AUDIT_VIEW, study)
    form = EventFilterForm(request.GET or None, studies=[], sites=_named(sites_of(study)))
    found = narrowed(runs.events_for(request.user).filter(study=str(study.pk)), form.narrowing)
    if request.GET.get("form"):
        return _as_file(request, found, study)
    note_log_read(by=request.user, study=study)
    frame = {**study_frame(request, study, "study-events"), "base_template": "studies/base.html"}
    log = _log(request, page_of(request, found, "-id"), form)
    return render_page(request, "events/list.html", {**log, "is_part": not reads_all, **frame})


def _named(sites: QuerySet[Site]) -> Options:
    return [(str(pk), name) for pk, name in sites.order_by("name").values_list("pk", "name")[:MOST_SITES]]


def _searched(request: PageRequest, rows: QuerySet[Event], wanted: Narrowing) -> Page[Event] | None:
    """The first page of a search by words in the platform's part alone; None for every other page.

    A word that is frequent there fills it from the newest entries; any other is found by that part's own index.
    """
    access = request.access
    is_platforms = access.is_platform_admin and not access.studies and not access.sites
    if not is_platforms or not wanted.text or "after" in request.GET or "before" in request.GET:
        return None
    others = narrowed(rows, replace(wanted, text=""))
    found = page_of(request, newest_with_words(others, wanted.text), "-id")
    return found if found.older else page_of(request, indexed_with_words(others, wanted.text), "-id")


def _log(request: PageRequest, found: Page[Event], form: EventFilterForm) -> dict[str, Any]:
    """One page of the log, by key: the page after an entry stays the same while new entries come."""
    is_filtered = form.is_bound and any(form.cleaned_data.values())
    only = {name: _without(request, name) for name in ("actor", "object", "kind")}
    return {"rows": event_rows(found), "page": found, "is_filtered": is_filtered, "filter_form": form, "only": only}


def _without(request: PageRequest, name: str) -> str:
    """The beginning of an address of the first page that narrows the present one by one value more."""
    kept = request.GET.copy()
    for dropped in (name, "before", "after"):
        kept.pop(dropped, None)
    kept[name] = ""
    return f"?{kept.urlencode()}"


def _as_file(request: PageRequest, rows: QuerySet[Event], study: Study | None) -> HttpResponseBase:
    """The entries that the filters leave, oldest first, as a file; taking it is an entry of the log itself."""
    form = request.GET["form"]
    if form not in FORMS:
        raise Http404
    if form == "proof":
        best = best_of_sites()
        # before anything is noted: it may be too early for one
        files = proven_files(rows, best, quorum(best).needed, keeping=Documents())
    last = Event.objects.aggregate(last=Max("pk"))["last"] or 0
    rows = rows.filter(pk__lte=last)
    entries = rows.count()
    taken = note_export(by=request.user, obj=study or request.user, study=study, entries=entries, form=FORMS[form])
    if form == "proof":
        return zip_stream(request, "fedstudy-log.zip", files, mark_of(taken))
    records = (event_record(event, taken) for event in _oldest_first(rows))
    if form == "csv":
        return csv_stream(request, "fedstudy-log.csv", records, EVENT_COLUMNS)
    return json_lines_stream(request, "fedstudy-log.jsonl", records)


def _oldest_first(rows: QuerySet[Event]) -> Iterator[Event]:
    """All of them, some thousands at a time."""
    last = 0
    while found := list(rows.filter(pk__gt=last).order_by("pk")[:AT_ONCE]):
        yield from found
        last = found[-1].pk
