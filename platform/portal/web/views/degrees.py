"""Comparing degrees of federation: a study's comparisons, one of them, and making one from a run."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.permissions import Permission, can, check
from federation.degrees import selectors, services
from federation.degrees.measuring import measure
from federation.degrees.models import DegreeComparison
from federation.degrees.reckoning import Degrees, reckon
from federation.runs import selectors as run_selectors
from portal.downloads import file_response
from portal.web.advice import said_with_code
from portal.web.downloads import csv_file
from portal.web.forms.seeds import MoreForm
from portal.web.lists import page_of
from portal.web.pages import PageRequest, page, refusals_said, render_page
from portal.web.presenters.degree_files import COLUMNS, degree_latex, degree_records
from portal.web.presenters.degrees import present_degrees
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.views.studies import find_study


@page()
def study_degrees(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The study's comparisons, newest first."""
    study = find_study(request, study_id)
    check(request.user, Permission.RESULTS_VIEW, study)
    found = page_of(request, selectors.comparisons_for(request.user).filter(study=study), "-created_at", "id")
    context = {
        "study": study,
        "rows": list(found),
        "page": found,
        "may_compare": can(request.user, Permission.RUN_START, study),
        "crumbs": crumbs_in_study(study),
    }
    return render_page(request, "degrees/list.html", context)


@page()
def comparison(request: PageRequest, comparison_id: UUID) -> HttpResponse:
    """One comparison by a metric, or as a file (`form`); for htmx its live part, or 204 while nothing changed."""
    made = selectors.comparison_for(request.user, comparison_id)
    mark = selectors.mark_of(made)
    if request.htmx and request.GET.get("mark") == mark:
        return HttpResponse(status=204)
    found = reckon(made, measure(made), request.GET.get("metric", ""))
    if form := request.GET.get("form", ""):
        return _as_file(request, found, form)
    services.note_view(comparison=made, by=request.user)
    lacking = selectors.lacking_in(found)
    context = {
        "study": made.study,
        "page": present_degrees(found, lacking),
        "may_start": can(request.user, Permission.RUN_START, made.study),
        "live_href": f"{request.path}?{urlencode({'metric': found.metric, 'mark': mark})}",
    }
    if request.htmx:
        return render(request, "degrees/_live.html", {**context, "is_part": True})
    return render_page(request, "degrees/comparison.html", {**context, "crumbs": crumbs_in_study(made.study)})


def _as_file(request: PageRequest, found: Degrees, form: str) -> HttpResponse:
    """The comparison as a file; the log notes who took it."""
    name = f"degrees-{found.metric}.{form}"
    if form == "csv":
        answer = csv_file(name, degree_records(found), COLUMNS)
    elif form == "tex":
        answer = file_response(name, degree_latex(found), "application/x-tex; charset=utf-8")
    else:
        raise Http404
    services.note_export(comparison=found.comparison, file=name, by=request.user)
    return answer


@page("POST")
def of_run(request: PageRequest, run_id: UUID) -> HttpResponse:
    """Compare degrees by the plan of a run, at once: all of them, or the run beside one other (`kind`)."""
    run = run_selectors.run_for(request.user, run_id)
    answer: HttpResponse = redirect("web:run", run.pk)
    kind = request.POST.get("kind", "")
    wish = services.Wish(kinds=selectors.kinds_beside(run, kind)) if kind else services.Wish()
    with refusals_said(request):
        answer = begun(request, services.compare_run(run=run, wish=wish, by=request.user))
    return answer


@page("POST")
def start(request: PageRequest, comparison_id: UUID) -> HttpResponse:
    """Plan what is possible now, or has another seed or strategy, and start what has not begun, failed or stopped."""
    made = selectors.comparison_for(request.user, comparison_id)
    answer: HttpResponse = redirect("web:degree-comparison", made.pk)
    form = MoreForm(request.POST)
    if not form.is_valid():
        messages.error(request, str(next(iter(form.errors.values()))[0]))
        return answer
    with refusals_said(request):
        answer = begun(request, made, **form.cleaned_data)
    return answer


def begun(
    request: PageRequest, made: DegreeComparison, *, seeds: Sequence[int] = (), personalised: str = ""
) -> HttpResponse:
    """Start a comparison's runs, say what hinders them, and show it."""
    wanted = [personalised] if personalised else []
    hindered = services.start_comparison(comparison=made, seeds=seeds, personalised=wanted, by=request.user)
    if hindered:
        words = ngettext(
            "{number} run could not start: {detail}", "{number} runs could not start: {detail}", len(hindered)
        )
        messages.error(request, words.format(number=len(hindered), detail=said_with_code(hindered[0])))
    else:
        messages.success(request, _("The runs are queued; this page fills as they complete."))
    return redirect("web:degree-comparison", made.pk)
