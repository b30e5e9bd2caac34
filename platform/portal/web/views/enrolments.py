"""A site's part in a study: inviting, answering, withdrawing, readiness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.permissions import Permission, can, check
from fedstudy_core.errors import NotFound
from portal.web.forms.studies import InvitationForm
from portal.web.pages import PageRequest, act, page, render_form, render_page, save
from portal.web.presenters.levels import choosable_levels, offered_levels
from portal.web.presenters.navigation import crumbs_in_study
from portal.web.presenters.picture import sites_in
from portal.web.presenters.readiness import ending_of, steps_of
from portal.web.presenters.studies import enrolment_row
from portal.web.views.studies import find_study
from studies.dictionary.selectors import datasets_visible_to
from studies.enrolment import selectors
from studies.enrolment.models import Enrolment
from studies.enrolment.services import (
    accept_invitation,
    change_level,
    decline_invitation,
    invite_site,
    withdraw_site,
)
from studies.enrolment.states import TAKING_PART
from studies.lifecycle.states import INVITING
from studies.pooling.selectors import consents_visible_to


def find_enrolment(request: PageRequest, enrolment_id: UUID) -> Enrolment:
    """The enrolment, if this person may see it; NotFound otherwise."""
    rows = selectors.visible_to(request.user).select_related("study", "site", "dataset", "withdrawn_by", "answered_by")
    found = rows.filter(pk=enrolment_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such enrolment, or it is not yours to see.")
    return found


@page()
def enrolment(request: PageRequest, enrolment_id: UUID) -> HttpResponse:
    """How far a site is, and what is next."""
    found = find_enrolment(request, enrolment_id)
    picture = sites_in(found.study)
    seen = datasets_visible_to(request.user).filter(study=found.study, site=found.site)
    context = {
        "enrolment": found,
        "study": found.study,
        "row": enrolment_row(picture, found),
        "steps": steps_of(picture, found),
        "ending": ending_of(found),
        "datasets": seen.order_by("-registered_at"),
        **_rights(request, found),
        "consent": consents_visible_to(request.user).filter(study=found.study, site=found.site).first(),
        "crumbs": crumbs_in_study(found.study),
    }
    return render_page(request, "enrolments/enrolment.html", context)


def _rights(request: PageRequest, found: Enrolment) -> dict[str, Any]:
    """What the person may do for the site, and the levels that it may choose from."""

    def may(permission: Permission) -> bool:
        return can(request.user, permission, found.site)

    takes_part = found.state in TAKING_PART
    may_change = takes_part and found.study.state in INVITING and may(Permission.LEVEL_CHANGE)
    return {
        "levels": choosable_levels() if may_change else offered_levels(),
        "may_change_level": may_change,
        "may_answer": found.state == "invited" and may(Permission.INVITATION_ANSWER),
        "may_withdraw": takes_part and may(Permission.SITE_WITHDRAW),
    }


@page("GET", "POST")
def new(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Invite a site."""
    study = find_study(request, study_id)
    check(request.user, Permission.STUDY_INVITE, study)
    form = InvitationForm(request.POST or None, sites=selectors.invitable_sites(study))
    invited = (
        save(form, lambda data: invite_site(study=study, **data, by=request.user)) if request.method == "POST" else None
    )
    if invited:
        messages.success(request, _("{site} is invited.").format(site=invited.site))
        return redirect("web:study", study.pk)
    return render_form(
        request,
        form,
        heading=_("Invite a site"),
        lead=_("For the study “{title}”.").format(title=study.title),
        action=_("Send the invitation"),
        crumbs=crumbs_in_study(study),
        template="enrolments/new.html",
        levels=offered_levels(),
    )


ANSWERS: Mapping[str, tuple[Callable[..., Enrolment], str]] = {
    "accept": (accept_invitation, gettext_noop("{site} takes part. Next: register a node and offer a dataset.")),
    "decline": (decline_invitation, gettext_noop("{site} does not take part.")),
    "withdraw": (withdraw_site, gettext_noop("{site} does not take part any more.")),
}


@page("POST")
def answer(request: PageRequest, enrolment_id: UUID, verb: str) -> HttpResponse:
    """Accept, decline or withdraw for the site."""
    if verb not in ANSWERS:
        raise Http404
    found = find_enrolment(request, enrolment_id)
    service, done = ANSWERS[verb]
    extra: dict[str, Any] = {"reason": request.POST.get("reason", "").strip()[:300]}
    if verb == "accept":
        extra = {"level": request.POST.get("level") or None}
    back = reverse("web:enrolment", args=[found.pk])
    return act(
        request, back, _(done).format(site=found.site.name), lambda: service(enrolment=found, by=request.user, **extra)
    )


@page("POST")
def level(request: PageRequest, enrolment_id: UUID) -> HttpResponse:
    """Take part at another level, for the site."""
    found = find_enrolment(request, enrolment_id)
    chosen = request.POST.get("level", "")
    back = reverse("web:enrolment", args=[found.pk])
    done = _("{site} takes part at level {level}.").format(site=found.site.name, level=chosen)
    return act(request, back, done, lambda: change_level(enrolment=found, level=chosen, by=request.user))
