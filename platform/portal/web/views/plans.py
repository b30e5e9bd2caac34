"""Planning runs: new ones, and forks of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.permissions import Permission, check
from federation.degrees.models import DegreeComparison
from federation.degrees.services import Wish, create_comparison
from federation.runs import lineage, selectors, services
from federation.runs.models import Run
from fedstudy_core.errors import FedStudyError
from portal.web.advice import said_with_code
from portal.web.forms.runs import RunForm, filled_from
from portal.web.pages import PageRequest, page, render_page, save
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.presenters.picture import Picture, approvals_in
from portal.web.presenters.start import best_version, site_rows
from portal.web.views import degrees
from portal.web.views.studies import find_study
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study


@page("GET", "POST")
def new(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Plan a run, and start it at once if asked."""
    study = find_study(request, study_id)
    check(request.user, Permission.RUN_START, study)
    picture = approvals_in(study)
    form = _form(request, picture, _filled_from_run(request, study))
    if form is not None and request.method == "POST":
        if request.POST.get("compare"):
            compared = save(form, lambda _: _compare(request, study, form))
            if compared:
                return degrees.begun(request, compared)
        elif made := save(form, lambda _: _plan(request, study, form)):
            return _after_plan(request, made)
    context = _shared_context(study, form, picture)
    return render_page(request, "runs/new.html", context, status=400 if form and form.errors else 200)


def _shared_context(study: Study, form: RunForm | None, picture: Picture) -> dict[str, Any]:
    return {
        "study": study,
        "form": form,
        "study_is_active": study.state == "active",
        "sites": site_rows(picture, form) if form else [],
        "crumbs": crumbs_in_study(study),
    }


def _filled_from_run(request: PageRequest, study: Study) -> dict[str, str]:
    """What the form begins with where the address names a run of the study that is to be made once more."""
    if not request.GET.get("like"):
        return {}
    found = selectors.runs_for(request.user).filter(study=study, pk=_uuid(request.GET["like"])).first()
    if found is None:
        raise Http404
    return {"version": str(found.version_id), **filled_from(lineage.plan_of(found))}


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Http404 from error


def _form(request: PageRequest, picture: Picture, standard: dict[str, str]) -> RunForm | None:
    """The form for the version that the address or the form names, else the newest."""
    versions = [item for item in picture.versions if item.state == "submitted"]
    if not versions:
        return None
    filled = standard | {name: str(value) for name, value in request.GET.items() if value}
    asked = request.POST.get("version") or filled.get("version")
    chosen = next((item for item in versions if str(item.pk) == asked), best_version(picture, versions))
    return RunForm(request.POST or None, versions=versions, chosen=chosen, enrolments=_ready(picture), filled=filled)


def _ready(picture: Picture) -> list[Enrolment]:
    return [item for item in picture.enrolments if item.state == "ready"]


def _plan(request: PageRequest, study: Study, form: RunForm) -> Run:
    return services.create_run(study=study, version=form.chosen, plan=form.plan, by=request.user)


def _compare(request: PageRequest, study: Study, form: RunForm) -> DegreeComparison:
    """Whom the form names as sites is left aside: a comparison asks all."""
    plan = form.plan
    wish = Wish(seeds=form.cleaned_data.get("seeds") or None)
    return create_comparison(study=study, version=form.chosen, plan=plan, wish=wish, label=plan.label, by=request.user)


def _after_plan(request: PageRequest, made: Run) -> HttpResponse:
    """Start the planned run if the person asked for it; what hinders the start is said on the run's page."""
    if request.POST.get("start"):
        try:
            services.start_run(run=made, by=request.user)
        except FedStudyError as error:
            messages.error(request, _("It is planned and could not start: {why}").format(why=said_with_code(error)))
    return redirect("web:run", made.pk)


@page("GET", "POST")
def fork(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Plan a run that begins with the model of a committed round; the fields begin as in the run that it comes from."""
    found = selectors.run_for(request.user, run_id)
    check(request.user, Permission.RUN_START, found.study)
    number = _round_of(request, found)
    standard = lineage.plan_of_fork(found, number)
    filled = filled_from(standard) | {name: str(value) for name, value in request.GET.items() if value}
    picture = approvals_in(found.study)
    form = RunForm(
        request.POST or None,
        versions=[found.version],
        chosen=found.version,
        enrolments=_ready(picture),
        filled=filled,
    )
    if request.method == "POST":
        made = save(form, lambda _: _fork(request, found, number, form, standard))
        if made:
            return _after_plan(request, made)
    context = _shared_context(found.study, form, picture) | {"origin": found, "origin_round": number}
    return render_page(request, "runs/new.html", context, status=400 if form.errors else 200)


def _round_of(request: PageRequest, found: Run) -> int:
    """The round that is asked for, else the best, else the last."""
    committed = set(found.standing_rounds.filter(state="committed").values_list("number", flat=True))
    asked = request.GET.get("round", "")
    if not committed or (asked and not (asked.isdecimal() and int(asked) in committed)):
        raise Http404
    if asked:
        return int(asked)
    return found.best_round if found.best_round in committed else max(committed)


def _fork(request: PageRequest, found: Run, number: int, form: RunForm, standard: services.Plan) -> Run:
    plan = form.plan
    if plan.sites is None:
        plan = replace(plan, sites=standard.sites, validators=standard.validators)
    return lineage.fork_run(run=found, round_number=number, plan=plan, by=request.user)
