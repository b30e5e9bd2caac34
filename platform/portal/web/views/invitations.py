"""Inviting people who have no account yet, and taking an invitation up."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.invitations import (
    UNKNOWN,
    invitation_of,
    invite_person,
    open_invitations,
    revoke_invitation,
    take_up_invitation,
)
from accounts.models import Invitation, Site
from accounts.permissions import Permission, check
from accounts.roles import SITE_ROLES, STUDY_ROLES, Role
from fedstudy_core.errors import Forbidden, NotFound
from portal.throttles import SetUpByAddress
from portal.web.advice import said
from portal.web.forms.people import NewcomerForm, RoleForm
from portal.web.news import link_of
from portal.web.pages import PageRequest, act, page, render_page, save
from portal.web.presenters.people import invitation_rows
from portal.web.signing_in import let_in, needs_factor, wait_for_factor
from portal.web.single_sign_on import is_offered
from portal.web.views.single_sign_on import join
from portal.web.views.sites import find_site
from portal.web.views.studies import find_study, study_frame


@page("GET", "POST")
def study_invitations(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Invite somebody new to the study; the link is shown once."""
    found = find_study(request, study_id)
    check(request.user, Permission.STUDY_GRANT, found)
    context = {**study_frame(request, found, "study-people"), "base_template": "studies/base.html"}
    return _invitations(request, found, reverse("web:study-invitations", args=[found.pk]), context)


@page("GET", "POST")
def site_invitations(request: PageRequest, site_id: UUID) -> HttpResponse:
    """Invite somebody new to the site; the link is shown once."""
    found = find_site(request, site_id)
    check(request.user, Permission.SITE_PEOPLE, found)
    crumbs = [(_("Sites and nodes"), reverse("web:sites")), (found.name, reverse("web:site", args=[found.pk]))]
    context = {"base_template": "sites/base.html", "site": found, "crumbs": crumbs}
    return _invitations(request, found, reverse("web:site-invitations", args=[found.pk]), context)


@page("POST")
def study_invitation_revoke(request: PageRequest, study_id: UUID, invitation_id: UUID) -> HttpResponse:
    """Take an invitation to the study back."""
    found = find_study(request, study_id)
    check(request.user, Permission.STUDY_GRANT, found)
    return _revoke(request, found, invitation_id, reverse("web:study-invitations", args=[found.pk]))


@page("POST")
def site_invitation_revoke(request: PageRequest, site_id: UUID, invitation_id: UUID) -> HttpResponse:
    """Take an invitation to the site back."""
    found = find_site(request, site_id)
    check(request.user, Permission.SITE_PEOPLE, found)
    return _revoke(request, found, invitation_id, reverse("web:site-invitations", args=[found.pk]))


def _invitations(request: PageRequest, obj: Model, here: str, context: dict[str, Any]) -> HttpResponse:
    roles = SITE_ROLES if isinstance(obj, Site) else STUDY_ROLES
    form = RoleForm(request.POST or None, roles=roles, is_new=True)
    made: tuple[Invitation, str] | None = None
    if request.method == "POST":

        def invite(data: dict[str, Any]) -> tuple[Invitation, str]:
            return invite_person(email=data["email"], role=Role(data["role"]), obj=obj, by=request.user)

        made = save(form, invite)
    shown = {
        "form": RoleForm(roles=roles, is_new=True) if made else form,
        "rows": invitation_rows(open_invitations(obj), here),
        "made": {"email": made[0].email, "link": link_of(made[1])} if made else None,
    }
    status = 201 if made else 400 if form.errors else 200
    return render_page(request, "people/invitations.html", {**context, **shown}, status=status)


def _revoke(request: PageRequest, obj: Model, invitation_id: UUID, back: str) -> HttpResponse:
    found = open_invitations(obj).filter(pk=invitation_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such invitation, or it is over.")
    done = _("The link of {email} opens nothing any more.").format(email=found.email)
    return act(request, back, done, lambda: revoke_invitation(invitation=found, by=request.user))


@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest) -> HttpResponse:
    """The page behind an invitation's link: name, password, and then the second factor."""
    token = request.POST.get("token") or request.GET.get("token", "")
    try:
        found = invitation_of(token)
        is_by_sso = is_offered() and "sso" in request.POST
        form = NewcomerForm(None if is_by_sso else request.POST or None)
        if is_by_sso:
            return join(request, found, request.POST.get("name", "")[:120])
        if request.method == "POST" and SetUpByAddress().allow_request(request, None):  # type: ignore[arg-type]
            user = save(form, lambda data: take_up_invitation(token=token, **data))
            if user is not None:
                messages.success(request, _("Welcome, {user_name}. Your account is open.").format(user_name=user.name))
                if needs_factor(user):
                    wait_for_factor(request, user, "/")
                    return redirect("web:sign-in-set-up")
                return redirect(let_in(request, user, way="password"))
    except Forbidden as error:
        told = {"detail": said(error.detail), "is_unknown": error.detail == UNKNOWN}
        return render(request, "accounts/invitation_over.html", told, status=403)
    sso = settings.FEDSTUDY_SINGLE_SIGN_ON.name if is_offered() else ""
    context = {"form": form, "token": token, "invitation": found, "role": _(Role(found.role).label), "sso": sso}
    return render(request, "accounts/invitation.html", context, status=400 if form.errors else 200)
