"""Script versions: what is signed, and by whom; submitting one and taking it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.permissions import Permission, can, check
from fedstudy_core.errors import FedStudyError, NotFound
from portal.web.forms.scripts import ScriptForm
from portal.web.pages import PageRequest, act, add_problems, page, render_form, render_page
from portal.web.presenters.amendments import amendment_of, base_of, replacement_sentences, snapshot_of
from portal.web.presenters.findings import counts_of, split_by_risk
from portal.web.presenters.navigation import crumbs_in_study, version_tabs
from portal.web.presenters.picture import approvals_in
from portal.web.presenters.reviews import checklists
from portal.web.presenters.scripts import approval_rows, output_rows, parameter_rows
from portal.web.views.studies import find_study
from studies.lifecycle.models import Study
from studies.scripts import selectors
from studies.scripts.models import ScriptVersion
from studies.scripts.reviews import sites_speaking
from studies.scripts.services import create_script, submit_version, withdraw_version


def find_version(request: PageRequest, version_id: UUID) -> ScriptVersion:
    """The version, if this person may read it; NotFound otherwise."""
    rows = selectors.versions_visible_to(request.user).select_related("script__study", "created_by").defer("bundle")
    found = rows.filter(pk=version_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such script version, or it is not yours to see.")
    return found


def version_frame(request: PageRequest, found: ScriptVersion, current: str) -> dict[str, Any]:
    """What every page of a version shares: its head and its tabs."""
    study = found.script.study
    waiting = found.threads.filter(state="open").count()
    return {
        "version": found,
        "tabs": version_tabs(found, current, waiting),
        "may_run": _is_usable(found) and can(request.user, Permission.RUN_START, study),
        "may_withdraw": found.state == "submitted" and can(request.user, Permission.SCRIPT_SUBMIT, study),
        "crumbs": crumbs_in_study(study),
    }


@page()
def version(request: PageRequest, version_id: UUID) -> HttpResponse:
    """What a site signs: the hash, what it changes, what it asks for and sends, its findings, and each site's word."""
    found = find_version(request, version_id)
    study = found.script.study
    picture = approvals_in(study)
    sites = set(request.access.sites)
    new, base = snapshot_of(found), base_of(found, sites)
    to_mind, low = split_by_risk(new.findings)
    ticks = selectors.ticks_visible_to(request.user).filter(version=found)
    context = {
        **version_frame(request, found, "version"),
        "approvals": approval_rows(picture, found, sites),
        "review": f"fedstudy-node review {found.pk}",
        "parameters": parameter_rows(found.parameters),
        "outputs": output_rows(found.declaration),
        "dependencies": new.bundle.dependencies,
        "base": base,
        "amendment": amendment_of(base, found) if base else None,
        "replacement": replacement_sentences(picture, found),
        "counts": counts_of(new.findings),
        "to_mind": to_mind,
        "low": low,
        "checklists": checklists(sites_speaking(request.user, study), ticks, request.user),
    }
    return render_page(request, "scripts/version.html", context)


def _is_usable(found: ScriptVersion) -> bool:
    return found.state == "submitted" and found.script.study.state in ("recruiting", "active")


@page("POST")
def withdraw(request: PageRequest, version_id: UUID) -> HttpResponse:
    """Take a version back."""
    found = find_version(request, version_id)
    back = reverse("web:version", args=[found.pk])
    done = _("{found} is taken back; no new run may use it.").format(found=found)
    return act(request, back, done, lambda: withdraw_version(version=found, by=request.user))


@page("GET", "POST")
def new(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Submit a script version."""
    study = find_study(request, study_id)
    check(request.user, Permission.SCRIPT_SUBMIT, study)
    form = ScriptForm(request.POST or None, request.FILES or None)
    made = _submit(request, study, form) if request.method == "POST" else None
    if made:
        messages.success(
            request,
            _("{script_name} v{made_number} is submitted. Sites can review and sign it now.").format(
                script_name=made.script.name, made_number=made.number
            ),
        )
        return redirect("web:version", made.pk)
    return render_form(
        request,
        form,
        heading=_("Submit a script"),
        lead=_("For the study “{title}”. A submitted version never changes.").format(title=study.title),
        action=_("Build and submit"),
        crumbs=crumbs_in_study(study),
        template="scripts/new.html",
        max_upload=settings.FEDSTUDY_MAX_UPLOAD,
    )


def _submit(request: PageRequest, study: Study, form: ScriptForm) -> ScriptVersion | None:
    """Build the bundle and submit it; what does not fit is said at the form. None then."""
    if not form.is_valid():
        return None
    try:
        built = form.build()
        made = _submit_next(request, study, form, built.content)
    except FedStudyError as error:
        add_problems(form, error)
        return None
    if built.left_out:
        messages.warning(
            request,
            _("Flower left these files out of the bundle: {files}.").format(files=", ".join(built.left_out[:10])),
        )
    return made


@transaction.atomic
def _submit_next(request: PageRequest, study: Study, form: ScriptForm, content: bytes) -> ScriptVersion:
    """Make the script if it is new, then its next version; neither without the other."""
    name, replaces = form.cleaned_data["name"], form.cleaned_data["replaces_previous"] != "no"
    script = study.scripts.filter(name=name).first() or create_script(study=study, name=name, by=request.user)
    return submit_version(script=script, bundle=content, replaces_previous=replaces, by=request.user)
