"""Schedules: making one from a run's plan, and the list of a study."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.permissions import Permission, can, check
from federation.runs import schedules as services
from federation.runs import selectors
from federation.runs.models import Schedule
from portal.web.forms.schedules import ScheduleForm
from portal.web.lists import page_of
from portal.web.pages import PageRequest, act, page, render_page, save
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.presenters.schedules import present_schedule
from portal.web.views.studies import find_study

VERBS: dict[str, tuple[str, Callable[..., Schedule]]] = {
    "suspend": (gettext_noop("“{label}” makes no run until it is resumed."), services.suspend_schedule),
    "resume": (gettext_noop("“{label}” makes runs again."), services.resume_schedule),
    "end": (gettext_noop("“{label}” makes no more runs."), services.end_schedule),
}


@page()
def study_schedules(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The study's schedules, newest first."""
    study = find_study(request, study_id)
    check(request.user, Permission.RESULTS_VIEW, study)
    found = page_of(request, selectors.schedules_for(request.user).filter(template__study=study), "-created_at", "id")
    context = {
        "study": study,
        "rows": [present_schedule(item) for item in found],
        "page": found,
        "may_change": can(request.user, Permission.RUN_START, study),
        "crumbs": crumbs_in_study(study),
    }
    return render_page(request, "runs/schedules.html", context)


@page("GET", "POST")
def new(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Have new runs made from a run's plan."""
    run = selectors.run_for(request.user, run_id)
    check(request.user, Permission.RUN_START, run.study)
    form = ScheduleForm(request.POST or None, run=run)
    if request.method == "POST":
        made = save(
            form,
            lambda data: services.create_schedule(run=run, timing=form.timing, label=data["label"], by=request.user),
        )
        if made:
            return redirect("web:study-schedules", run.study_id)
    context = {"study": run.study, "run": run, "form": form, "crumbs": crumbs_in_study(run.study)}
    return render_page(request, "runs/schedule_new.html", context, status=400 if form.errors else 200)


@page("POST")
def change(request: PageRequest, schedule_id: UUID, verb: str) -> HttpResponse:
    """Suspend, resume or end a schedule."""
    found = selectors.schedule_for(request.user, schedule_id)
    if verb not in VERBS:
        raise Http404
    words, service = VERBS[verb]
    back = reverse("web:study-schedules", args=[found.template.study_id])
    return act(request, back, _(words).format(label=found.label), lambda: service(schedule=found, by=request.user))
