"""Setting a study up in steps; the draft study itself keeps what is done, so anybody goes on where somebody stopped."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.permissions import Permission, can, check
from portal.web.forms.studies import FirstSitesForm, ProtocolForm, StudyForm
from portal.web.pages import PageRequest, page, render_page, save
from portal.web.presenters.levels import offered_levels
from portal.web.presenters.setup import present_steps
from portal.web.views.studies import find_study, study_frame
from studies.dictionary.selectors import current_dictionary, draft_of
from studies.enrolment import selectors
from studies.enrolment.setup import STEPS, invite_first_sites, steps_of
from studies.lifecycle.models import Study
from studies.lifecycle.services import add_protocol, edit_study


@page()
def overview(request: PageRequest, study_id: UUID) -> HttpResponse:
    """The first step that lacks something."""
    found = _find(request, study_id)
    name = next((step.name for step in steps_of(found) if not step.is_done), STEPS[-1])
    return _render(request, found, name, _form(request, found, name))


@page("GET", "POST")
def step(request: PageRequest, study_id: UUID, name: str) -> HttpResponse:
    """One step; keeping it leads to the next."""
    found = _find(request, study_id)
    if name not in STEPS:
        raise Http404
    form = _form(request, found, name)
    if request.method == "POST":
        if form is None:
            check(request.user, Permission.STUDY_INVITE, found)
            raise Http404
        made = save(form, lambda data: _keep(request, found, name, data))
        if made:
            messages.success(request, _(KEPT[name]))
            return redirect(_after(found, name))
    return _render(request, found, name, form)


def _find(request: PageRequest, study_id: UUID) -> Study:
    found = find_study(request, study_id)
    check(request.user, Permission.STUDY_EDIT, found)
    return found


def _form(request: PageRequest, found: Study, name: str) -> forms.Form | None:
    """The step's form; None where the dictionary is written on pages of its own, or only others ask sites."""
    data = request.POST or None
    if name == "words":
        return StudyForm(data, initial={"title": found.title, "summary": found.summary, "aims": found.aims})
    if name == "protocol":
        return ProtocolForm(data, request.FILES or None)
    if name == "sites" and can(request.user, Permission.STUDY_INVITE, found):
        return FirstSitesForm(data, sites=selectors.invitable_sites(found))
    return None


def _keep(request: PageRequest, found: Study, name: str, data: dict[str, Any]) -> object:
    if name == "words":
        return edit_study(study=found, **data, by=request.user)
    if name == "protocol":
        upload = data["file"]
        return add_protocol(study=found, filename=upload.name, content=upload.read(), by=request.user)
    return invite_first_sites(study=found, **data, by=request.user)


KEPT = {
    "words": gettext_noop("The words of the study are kept."),
    "protocol": gettext_noop("The protocol is kept, with its hash."),
    "sites": gettext_noop("The sites are invited, and the study recruits."),
}


def _after(found: Study, name: str) -> str:
    """The step that follows; after the last one the study."""
    following = dict(pairwise(STEPS)).get(name)
    if following is None:
        return reverse("web:study", args=[found.pk])
    return reverse("web:study-set-up-step", args=[found.pk, following])


def _render(request: PageRequest, found: Study, name: str, form: forms.Form | None) -> HttpResponse:
    steps = present_steps(found, steps_of(found), name)
    context = {
        **study_frame(request, found, "study-set-up"),
        "steps": steps,
        "missing": [item for item in steps if not item.is_done],
        "name": name,
        "number": STEPS.index(name) + 1,
        "form": form,
        "after": _after(found, name),
        "dictionary": current_dictionary(found),
        "draft": draft_of(found),
        "protocol": found.protocol,
        "levels": offered_levels(),
        "is_draft": found.state == "draft",
    }
    return render_page(request, "studies/set_up.html", context, status=400 if form is not None and form.errors else 200)
