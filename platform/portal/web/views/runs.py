"""Runs: planning, the live page, starting and stopping."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.permissions import Permission, can, check
from federation.runs import selectors, services
from federation.runs.models import Run
from federation.strategies.catalogue import STRATEGIES
from fedstudy_core.errors import FedStudyError
from portal.web.downloads import csv_file, json_file
from portal.web.formats import value_text
from portal.web.forms.runs import RunForm
from portal.web.marks import mark_of
from portal.web.pages import PageRequest, act, page, render_page, save
from portal.web.presenters.exports import result_records, round_records, run_record
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.presenters.picture import Picture, pictures_of
from portal.web.presenters.runs import RunPage, present_run
from portal.web.presenters.start import best_version, readiness_rows
from portal.web.views.studies import find_study
from studies.lifecycle.models import Study


@page()
def run(request: PageRequest, run_id: UUID) -> HttpResponse:
    """The run page; for htmx only its live part, or nothing (204) while nothing changed."""
    found = selectors.run_for(request.user, run_id)
    mark = mark_of(found)
    if request.htmx and request.GET.get("mark") == mark:
        return HttpResponse(status=204)
    context = _live_context(request, found, mark)
    if request.htmx:
        return render(request, "runs/_live.html", context)
    return render_page(request, "runs/run.html", {**context, **_frame_context(request, found)})


def _live_context(request: PageRequest, found: Run, mark: str) -> dict[str, Any]:
    """The part that changes while the run works."""
    all_rounds = request.GET.get("rounds") == "all"
    check(request.user, Permission.RESULTS_VIEW, found.study)
    rounds = list(selectors.rounds_of(found))
    summary = selectors.run_summary(found, rounds)
    shown: RunPage = present_run(found, summary, rounds, mark=mark, all_rounds=all_rounds)
    query = f"?mark={mark}" + ("&rounds=all" if all_rounds else "")
    obstacles = services.obstacles(found) if found.state == "draft" else []
    return {"run": found, "page": shown, "live_href": request.path + query, "obstacles": obstacles}


def _frame_context(request: PageRequest, found: Run) -> dict[str, Any]:
    """The part of the run page that stays."""
    study, strategy = found.study, STRATEGIES.get(found.strategy)
    participants = list(found.participants.select_related("enrolment__site", "approval"))
    configuration = {**found.config, **found.strategy_parameters}
    return {
        "strategy": strategy.title if strategy else found.strategy,
        "participants": participants,
        "sites_count": len(participants),
        "may_download": can(request.user, Permission.MODEL_DOWNLOAD, study),
        "configuration": [(name, value_text(value)) for name, value in sorted(configuration.items())],
        "may_start": found.state == "draft" and can(request.user, Permission.RUN_START, study),
        "may_stop": found.state in ("waiting", "running") and can(request.user, Permission.RUN_STOP, study),
        "crumbs": crumbs_in_study(study),
    }


@page()
def model(request: PageRequest, run_id: UUID) -> HttpResponse:
    """The newest model as a file (safetensors); the log notes who took it."""
    found = selectors.run_for(request.user, run_id)
    made, content = services.fetch_model(run=found, by=request.user)
    response = HttpResponse(content, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{made.sha256[:12]}.safetensors"'
    return response


@page()
def export(request: PageRequest, run_id: UUID, name: str) -> HttpResponse:
    """Results or rounds as CSV, or the whole run as JSON; the log notes who took it."""
    if name not in ("results.csv", "rounds.csv", "run.json"):
        raise Http404
    found = selectors.run_for(request.user, run_id)
    services.note_export(run=found, file=name, by=request.user)
    rounds = list(selectors.rounds_of(found))
    summary = selectors.run_summary(found, rounds)
    if name == "run.json":
        return json_file(name, run_record(found, summary, rounds))
    return csv_file(name, result_records(summary) if name == "results.csv" else round_records(rounds))


@page("POST")
def start(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Start the run as soon as its sites are there."""
    found = selectors.run_for(request.user, run_id)
    back = reverse("web:run", args=[found.pk])
    done = f"“{found.label}” starts as soon as its sites are there."
    return act(request, back, done, lambda: services.start_run(run=found, by=request.user))


@page("POST")
def stop(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Stop the run for good."""
    found = selectors.run_for(request.user, run_id)
    reason = request.POST.get("reason", "").strip()[:200]
    back = reverse("web:run", args=[found.pk])
    done = f"“{found.label}” is stopped."
    return act(request, back, done, lambda: services.stop_run(run=found, by=request.user, reason=reason))


@page("GET", "POST")
def new(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Plan a run, and start it at once if asked."""
    study = find_study(request, study_id)
    check(request.user, Permission.RUN_START, study)
    (picture,) = pictures_of([study])
    form = _form(request, picture)
    if form is not None and request.method == "POST":
        made = save(form, lambda _: _plan(request, study, form))
        if made:
            return _after_plan(request, made)
    context = {
        "study": study,
        "form": form,
        "study_is_active": study.state == "active",
        "readiness": readiness_rows(picture, form.chosen) if form else [],
        "crumbs": crumbs_in_study(study),
    }
    return render_page(request, "runs/new.html", context, status=400 if form and form.errors else 200)


def _form(request: PageRequest, picture: Picture) -> RunForm | None:
    """The form for the version that the address or the form names, else the newest."""
    versions = [item for item in picture.versions if item.state == "submitted"]
    if not versions:
        return None
    filled = {name: str(value) for name, value in request.GET.items() if value}
    asked = request.POST.get("version") or filled.get("version")
    chosen = next((item for item in versions if str(item.pk) == asked), best_version(picture, versions))
    return RunForm(request.POST or None, versions=versions, chosen=chosen, filled=filled)


def _plan(request: PageRequest, study: Study, form: RunForm) -> Run:
    return services.create_run(study=study, version=form.chosen, plan=form.plan, by=request.user)


def _after_plan(request: PageRequest, made: Run) -> HttpResponse:
    """Start the planned run if the person asked for it; what hinders the start is said on the run's page."""
    if request.POST.get("start"):
        try:
            services.start_run(run=made, by=request.user)
        except FedStudyError as error:
            messages.error(request, f"It is planned and could not start: {error.detail} ({error.code})")
    return redirect("web:run", made.pk)
