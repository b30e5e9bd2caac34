"""Reading a version before signing it: its source, its changes, its threads and checklists."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Site
from fedstudy_core import bundle
from fedstudy_core.errors import FedStudyError, NotFound
from portal.web.advice import said
from portal.web.forms.reviews import ThreadForm
from portal.web.highlight import BINARY_NOTICE, as_text, highlighted_lines
from portal.web.pages import PageRequest, act, page, render_page, save
from portal.web.presenters.amendments import amendment_of, base_of, snapshot_of
from portal.web.presenters.diffs import file_diffs
from portal.web.presenters.files import file_rows, first_file, source_lines, tree_rows
from portal.web.presenters.findings import findings_of
from portal.web.presenters.reviews import checklists, thread_cards, threads_by_line
from portal.web.views.scripts import find_version, version_frame
from studies.enrolment.selectors import sites_of
from studies.scripts import selectors
from studies.scripts.checklist import save_ticks
from studies.scripts.models import ReviewThread, ScriptVersion
from studies.scripts.reviews import (
    answer_thread,
    may_discuss,
    open_thread,
    reopen_thread,
    resolve_thread,
    sites_speaking,
)


@page()
def source(request: PageRequest, version_id: UUID) -> HttpResponse:
    """The file tree, and one file with its findings at their lines."""
    found = find_version(request, version_id)
    path = request.GET.get("file", "") or first_file(found.files)
    findings = findings_of(found.findings)
    rows = file_rows(found.files, path, findings)
    shown = next((row for row in rows if row.is_shown), None)
    if shown is None and request.GET.get("file"):
        raise Http404
    context = {
        **version_frame(request, found, "version-source"),
        "tree": tree_rows(rows),
        "file": shown,
        "may_discuss": may_discuss(request.user, found.script.study),
        **(_source(request, found, path) if shown else {"source_notice": _("The bundle holds no files.")}),
    }
    return render_page(request, "scripts/source.html", context)


def _source(request: PageRequest, found: ScriptVersion, path: str) -> dict[str, Any]:
    """The lines of a file, or why there are none."""
    try:
        text = as_text(bundle.read_file(bytes(found.bundle), path))
    except FedStudyError as error:
        return {"source_notice": said(error.detail)}
    if text is None:
        return {"source_notice": _(BINARY_NOTICE)}
    threads = ReviewThread.objects.filter(version=found, path=path)
    lines = source_lines(
        highlighted_lines(path, text), path, findings_of(found.findings), threads_by_line(threads, path)
    )
    return {"lines": lines, "to_ask": reverse("web:version-review", args=[found.pk])}


@page()
def changes(request: PageRequest, version_id: UUID) -> HttpResponse:
    """What differs from the version that the reader's site approved last, or from any other."""
    found = find_version(request, version_id)
    others = list(found.script.versions.exclude(pk=found.pk).defer("bundle").order_by("-number"))
    base = _base(request, found)
    context: dict[str, Any] = {
        **version_frame(request, found, "version-changes"),
        "others": others,
        "base": base,
        "approved": selectors.last_approved(found, request.access.sites),
    }
    if base is not None:
        old, new = snapshot_of(base), snapshot_of(found)
        context["amendment"] = amendment_of(base, found)
        context["diffs"] = file_diffs(context["amendment"].files, old.contents, new.contents)
    return render_page(request, "scripts/changes.html", context)


def _base(request: PageRequest, found: ScriptVersion) -> ScriptVersion | None:
    """The version to compare with: the one that was asked for, of the same script, else the usual one."""
    asked = request.GET.get("against", "")
    if not asked:
        return base_of(found, request.access.sites)
    rows = found.script.versions.select_related("script").exclude(pk=found.pk)
    chosen = rows.filter(number=int(asked)).first() if asked.isdecimal() and len(asked) < 9 else None
    if chosen is None:
        raise NotFound("E_NOT_FOUND", "This script has no such version.")
    return chosen


@page()
def review(request: PageRequest, version_id: UUID) -> HttpResponse:
    """Threads and checklists."""
    found = find_version(request, version_id)
    at = {"path": request.GET.get("file", ""), "line": request.GET.get("line", "")}
    return _render_review(request, found, ThreadForm(initial=at))


def _render_review(request: PageRequest, found: ScriptVersion, form: ThreadForm) -> HttpResponse:
    study = found.script.study
    sites = sites_speaking(request.user, study)
    ticks = selectors.ticks_visible_to(request.user).filter(version=found)
    context = {
        **version_frame(request, found, "version-review"),
        "threads": thread_cards(selectors.threads_visible_to(request.user).filter(version=found)),
        "may_discuss": may_discuss(request.user, study) and study.state != "archived",
        "checklists": checklists(sites, ticks, request.user),
        "form": form,
    }
    return render_page(request, "scripts/review.html", context, status=400 if form.errors else 200)


@page("POST")
def open_(request: PageRequest, version_id: UUID) -> HttpResponse:
    """Ask a question or leave a comment."""
    found = find_version(request, version_id)
    form = ThreadForm(request.POST)
    made = save(form, lambda data: open_thread(version=found, by=request.user, **data))
    if made is None:
        return _render_review(request, found, form)
    messages.success(request, _("It is written. Those whom it concerns are told."))
    return redirect(_to_thread(found.pk, made.pk))


@page("POST")
def thread(request: PageRequest, thread_id: UUID, verb: str) -> HttpResponse:
    """Answer, resolve or reopen a thread."""
    chosen = selectors.threads_visible_to(request.user).filter(pk=thread_id).first()
    services = {"resolve": (resolve_thread, _("Resolved.")), "reopen": (reopen_thread, _("Taken up again."))}
    if chosen is None or verb not in ("answer", *services):
        raise NotFound("E_NOT_FOUND", "There is no such thread, or it is not yours to see.")
    back = _to_thread(chosen.version_id, chosen.pk)
    if verb == "answer":
        text = request.POST.get("text", "")
        return act(request, back, _("Answered."), lambda: answer_thread(thread=chosen, text=text, by=request.user))
    service, done = services[verb]
    return act(request, back, done, lambda: service(thread=chosen, by=request.user))


def _to_thread(version_id: UUID, thread_id: UUID) -> str:
    return f"{reverse('web:version-review', args=[version_id])}#thread-{thread_id}"


@page("POST")
def checklist(request: PageRequest, version_id: UUID) -> HttpResponse:
    """Keep what the reader ticked for a site."""
    found = find_version(request, version_id)
    site = _site(found, request.POST.get("site", ""))
    items = request.POST.getlist("items")
    back = f"{reverse('web:version-review', args=[found.pk])}#checklist"
    return act(
        request,
        back,
        _("The checklist is kept."),
        lambda: save_ticks(version=found, site=site, items=items, by=request.user),
    )


def _site(found: ScriptVersion, asked: str) -> Site:
    """The site of a checklist, one of the study's; NotFound otherwise."""
    chosen = next((site for site in sites_of(found.script.study) if str(site.pk) == asked), None)
    if chosen is None:
        raise NotFound("E_NOT_FOUND", "This study has no such site.")
    return chosen
