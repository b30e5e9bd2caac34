"""Studies: the list, one study, creating, moving."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.permissions import Permission, can, check
from accounts.selectors import role_holders
from federation.releases import selectors as releases
from fedstudy_core.errors import NotFound
from portal.web.forms.studies import StudyForm
from portal.web.lists import page_of
from portal.web.pages import PageRequest, act, page, render_form, render_page, save
from portal.web.presenters.degree import present_degree
from portal.web.presenters.navigation import crumbs_to_studies, study_tabs
from portal.web.presenters.people import people_rows
from portal.web.presenters.picture import RUNS, pictures_of
from portal.web.presenters.setup import steps_before_a_study
from portal.web.presenters.status import status_of
from portal.web.presenters.studies import (
    TRANSITIONS,
    enrolment_row,
    run_row,
    study_row,
    transition_to,
    version_rows,
)
from portal.web.presenters.waits import Wait, waits_of, waits_of_release
from studies.enrolment.degree import degree_of
from studies.lifecycle import selectors
from studies.lifecycle.models import Study
from studies.lifecycle.services import create_study, move_study
from studies.lifecycle.states import STUDY

STUDIES = 20
MOST_UNLED = 50
MOST_RELEASES = 10


def find_study(request: PageRequest, study_id: UUID) -> Study:
    """The study, if this person may see it; NotFound otherwise."""
    study = selectors.visible_to(request.user).filter(pk=study_id).first()
    if study is None:
        raise NotFound("E_NOT_FOUND", "There is no such study, or it is not yours to see.")
    return study


def speaks_in(request: PageRequest, study: Study) -> bool:
    """Whether the person holds a role at a site of the study: they read their own part of its log."""
    sites = request.access.sites
    return bool(sites) and study.enrolments.filter(site__in=sites).exists()


def study_frame(request: PageRequest, study: Study, current: str) -> dict[str, Any]:
    """What every page of a study has: its tabs and its breadcrumbs."""
    sees_log = can(request.user, Permission.AUDIT_VIEW, study) or speaks_in(request, study)
    is_set_up = current == "study-set-up" or study.state == "draft"
    may_set_up = is_set_up and can(request.user, Permission.STUDY_EDIT, study)
    has_webhooks = can(request.user, Permission.WEBHOOKS_MANAGE, study)
    tabs = study_tabs(study.pk, current, sees_log=sees_log, may_set_up=may_set_up, has_webhooks=has_webhooks)
    return {"study": study, "tabs": tabs, "crumbs": crumbs_to_studies()}


@page()
def studies(request: PageRequest) -> HttpResponse:
    """Every study of the person, and what waits for whom."""
    found = page_of(request, selectors.visible_to(request.user), "-created_at", "id", size=STUDIES)
    pictures = pictures_of(found, for_list=True)
    access = request.access
    rows = [study_row(picture, access.reader, access.role_in(picture.study.pk)) for picture in pictures]
    own = [wait for wait in _release_waits(request, found) if wait.is_yours] if access.is_steward else []
    yours = [*own, *(wait for row in rows for wait in row.waits if wait.is_yours)]
    context = {
        "rows": rows,
        "page": found,
        "yours": yours,
        "may_create": can(request.user, Permission.STUDY_CREATE),
        "without_investigator": selectors.without_investigator(request.user)[:MOST_UNLED],
    }
    return render_page(request, "studies/list.html", context)


def _release_waits(request: PageRequest, studies: Iterable[Study]) -> list[Wait]:
    """Releases that wait for data stewards; for which of them the reader may decide is asked of stewards alone."""
    undecided = releases.undecided_in(studies, request.user)[:MOST_RELEASES]
    is_steward = request.access.is_steward
    return [
        wait
        for release in undecided
        for wait in waits_of_release(release, releases.sites_to_sign_for(release, request.user) if is_steward else ())
    ]


def _yours_first(waits: list[Wait]) -> list[Wait]:
    return sorted(waits, key=lambda wait: not wait.is_yours)


@page()
def study(request: PageRequest, study_id: UUID) -> HttpResponse:
    """One study: what waits, sites, scripts, runs, people."""
    found = find_study(request, study_id)
    (picture,) = pictures_of([found])
    context = {
        **study_frame(request, found, "study"),
        "waits": _yours_first([*_release_waits(request, [found]), *waits_of(picture, request.access.reader)]),
        "degree": present_degree(degree_of(found, picture.enrolments)),
        "enrolments": [enrolment_row(picture, item) for item in picture.enrolments],
        "versions": version_rows(picture),
        "runs": [run_row(run) for run in picture.runs[:RUNS]],
        "has_older_runs": len(picture.runs) >= RUNS,
        "dictionary": picture.dictionary,
        "protocol": found.protocol,
        "people": people_rows(role_holders(found)),
        **_rights(request, found),
    }
    return render_page(request, "studies/study.html", context)


def _rights(request: PageRequest, found: Study) -> dict[str, Any]:
    """What the person may do on the study's page."""

    def may(permission: Permission) -> bool:
        return can(request.user, permission, found)

    following = sorted(STUDY.moves[found.state], key=list(TRANSITIONS).index) if may(Permission.STUDY_MOVE) else []
    is_open = found.state in ("recruiting", "active")
    return {
        "transitions": [transition_to(state) for state in following],
        "may_invite": is_open and may(Permission.STUDY_INVITE),
        "may_submit": found.state in ("draft", "recruiting", "active") and may(Permission.SCRIPT_SUBMIT),
        "may_run": is_open and may(Permission.RUN_START),
    }


@page("GET", "POST")
def new(request: PageRequest) -> HttpResponse:
    """Create a study."""
    check(request.user, Permission.STUDY_CREATE)
    form = StudyForm(request.POST or None)
    made = save(form, lambda data: create_study(**data, by=request.user)) if request.method == "POST" else None
    if made:
        messages.success(
            request, _("“{title}” is created. You are its principal investigator.").format(title=made.title)
        )
        return redirect("web:study-set-up", made.pk)
    return render_form(
        request,
        form,
        heading=_("New study"),
        lead=_("It starts as a draft that only you see; you may stop after any step and go on later."),
        action=_("Create the study"),
        crumbs=crumbs_to_studies(),
        template="studies/new.html",
        steps=steps_before_a_study(),
    )


@page("POST")
def transition(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Move the study to its next state."""
    found, to = find_study(request, study_id), request.POST.get("to", "")
    back = reverse("web:study", args=[found.pk])
    done = _("“{title}” is now {to}.").format(title=found.title, to=status_of("study", to).label.lower())
    return act(request, back, done, lambda: move_study(study=found, to=to, by=request.user))
