"""The protocol of a study: its versions, fetching one, uploading the next."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.permissions import Permission, can, check
from fedstudy_core.errors import NotFound
from portal.downloads import file_response
from portal.web.forms.studies import ProtocolForm
from portal.web.pages import PageRequest, page, render_form, render_page, save
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.views.studies import find_study, study_frame
from studies.lifecycle.models import Study
from studies.lifecycle.services import add_protocol
from studies.lifecycle.states import EDITABLE


@page()
def protocol(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Every version of the protocol, the newest first."""
    found = find_study(request, study_id)
    context = {
        **study_frame(request, found, "study-protocol"),
        "versions": found.protocol_versions.defer("content").select_related("created_by"),
        "may_edit": _may_edit(request, found),
    }
    return render_page(request, "studies/protocol.html", context)


def _may_edit(request: PageRequest, found: Study) -> bool:
    needed = [Permission.STUDY_EDIT, *([] if found.state == "draft" else [Permission.STUDY_AMEND])]
    return found.state in EDITABLE and all(can(request.user, permission, found) for permission in needed)


@page()
def file(request: PageRequest, study_id: UUID, number: int) -> HttpResponse:
    """One version as it was uploaded; a browser saves it and shows nothing of it."""
    version = find_study(request, study_id).protocol_versions.filter(number=number).first()
    if version is None:
        raise NotFound("E_NOT_FOUND", "The protocol has no version of that number.")
    return file_response(version.filename, bytes(version.content))


@page("GET", "POST")
def new(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Upload a version."""
    found = find_study(request, study_id)
    check(request.user, Permission.STUDY_EDIT, found)
    form = ProtocolForm(request.POST or None, request.FILES or None)
    made = _upload(request, found, form) if request.method == "POST" else None
    if made:
        messages.success(request, _("Version {made_number} of the protocol is kept.").format(made_number=made.number))
        return redirect("web:study-protocol", found.pk)
    return render_form(
        request,
        form,
        heading=_("New version of the protocol"),
        lead=_("Versions never change; everybody in the study can fetch each of them."),
        action=_("Upload"),
        crumbs=[*crumbs_in_study(found), (_("Protocol"), reverse("web:study-protocol", args=[found.pk]))],
    )


def _upload(request: PageRequest, found: Study, form: ProtocolForm) -> Any:
    def service(data: dict[str, Any]) -> Any:
        upload = data["file"]
        return add_protocol(study=found, filename=upload.name, content=upload.read(), by=request.user)

    return save(form, service)
