"""Runs of a study side by side."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpResponse

from accounts.permissions import Permission, check
from federation.runs.comparing import FEWEST, MOST, Comparison, compare_runs
from federation.runs.results import note_exports, note_view
from federation.runs.selectors import runs_for
from fedstudy_core.errors import NotFound
from portal.web.downloads import csv_file, json_file
from portal.web.pages import PageRequest, page, render_page
from portal.web.presenters.comparison import comparison_record, comparison_records, present_comparison
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.views.studies import find_study

OFFERED = 100
COLUMNS = ("run", "label", "kind", "name", "site", "round", "value", "low", "high")


@page()
def comparison(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The runs that `run` names beside each other, or as a file (`form`); with fewer than two, runs to choose from."""
    study = find_study(request, study_id)
    check(request.user, Permission.RESULTS_VIEW, study)
    chosen = _chosen(request)
    form = request.GET.get("form", "")
    found = compare_runs(study=study, ids=chosen, by=request.user) if FEWEST <= len(chosen) <= MOST else None
    if form:
        return _as_file(request, found, form)
    for run in found.runs if found else ():
        note_view(run=run, by=request.user)
    context = {
        "study": study,
        "chosen": chosen,
        "offered": list(runs_for(request.user).filter(study=study)[:OFFERED]),
        "comparison": present_comparison(found) if found else None,
        "fewest": FEWEST,
        "most": MOST,
        "crumbs": crumbs_in_study(study),
    }
    return render_page(request, "runs/compare.html", context)


def _chosen(request: PageRequest) -> list[UUID]:
    try:
        return [UUID(text) for text in dict.fromkeys(request.GET.getlist("run"))]
    except ValueError:
        raise NotFound("E_NOT_FOUND", "There is no such run, or it is not yours to see.") from None


def _as_file(request: PageRequest, found: Comparison | None, form: str) -> HttpResponse:
    """The comparison as a file; the log notes at every run who took it."""
    if found is None or form not in ("csv", "json"):
        raise Http404
    name = f"comparison.{form}"
    if form == "json":
        answer = json_file(name, comparison_record(found))
    else:
        answer = csv_file(name, comparison_records(found), COLUMNS)
    note_exports(runs=found.runs, file=name, by=request.user)
    return answer
