"""People and their roles, in a study or at a site."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Model
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.grants import may_appoint
from accounts.models import Site
from accounts.permissions import Permission, can, check
from accounts.roles import SITE_ROLES, STUDY_ROLES, Role
from accounts.selectors import person_named, role_holders
from accounts.services import grant_role, revoke_role
from fedstudy_core.errors import NotFound
from portal.web.forms.people import AccountForm, RoleForm
from portal.web.pages import PageRequest, act, add_problems, page, render_form, render_page, save
from portal.web.presenters.navigation import crumbs_to_studies
from portal.web.presenters.people import people_rows
from portal.web.views.access import join_link
from portal.web.views.sites import find_site
from portal.web.views.studies import find_study, study_frame
from studies.lifecycle.selectors import without_investigator


@page("GET", "POST")
def study_people(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Who holds which role in the study; who leads it gives and takes roles here."""
    found = find_study(request, study_id)
    context = {**study_frame(request, found, "study-people"), "base_template": "studies/base.html"}
    return _people(request, found, reverse("web:study-people", args=[found.pk]), context)


@page("GET", "POST")
def site_people(request: PageRequest, site_id: UUID) -> HttpResponse:
    """Who holds which role at the site."""
    found = find_site(request, site_id)
    crumbs = [(_("Sites and nodes"), reverse("web:sites")), (found.name, reverse("web:site", args=[found.pk]))]
    context = {"base_template": "sites/base.html", "site": found, "crumbs": crumbs}
    return _people(request, found, reverse("web:site-people", args=[found.pk]), context)


@page("GET", "POST")
def investigator(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Appoint somebody to a study that nobody leads who can sign in; its other pages stay closed to who appoints."""
    found = without_investigator(request.user).filter(pk=study_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such study, or somebody leads it.")
    form = AccountForm(request.POST or None)
    if request.method == "POST" and _grant(request, found, form):
        return redirect("web:studies")
    return render_form(
        request,
        form,
        heading=_("Appoint a principal investigator"),
        lead=_("Nobody who can sign in leads the study “{title}”. Its log says who appointed whom.").format(
            title=found.title
        ),
        action=_("Appoint"),
        crumbs=crumbs_to_studies(),
    )


def _people(request: PageRequest, obj: Model, here: str, context: dict[str, Any]) -> HttpResponse:
    may_change, may_grant = _rights(request, obj)
    initial = {"email": request.GET.get("email", "")}  # of somebody who was announced
    form = RoleForm(request.POST or None, initial=initial, roles=SITE_ROLES if isinstance(obj, Site) else STUDY_ROLES)
    if request.method == "POST" and _grant(request, obj, form):
        return redirect(here)
    people = people_rows(role_holders(obj), here if may_change else "")
    invitations = here.removesuffix("people") + "invitations" if may_change else ""
    shown = {
        "people": people,
        "form": form if may_grant else None,
        "invitations": invitations,
        "join_code": here.removesuffix("people") + "join-code" if may_change else "",
        "join_link": join_link(obj) if may_change else "",
    }
    return render_page(request, "people/list.html", {**context, **shown}, status=400 if form.errors else 200)


def _permission(obj: Model) -> Permission:
    return Permission.SITE_PEOPLE if isinstance(obj, Site) else Permission.STUDY_GRANT


def _rights(request: PageRequest, obj: Model) -> tuple[bool, bool]:
    """Whether the reader may take roles, and give them; administrators appoint the first who leads."""
    may_change = can(request.user, _permission(obj), obj)
    return may_change, may_change or may_appoint(request.user, obj)


def _grant(request: PageRequest, obj: Model, form: AccountForm) -> bool:
    """Give a role; only who may do so learns who has an account."""
    if not _rights(request, obj)[1]:
        check(request.user, _permission(obj), obj)

    def service(data: dict[str, Any]) -> str:
        person, role = person_named(data["email"]), Role(data.get("role", Role.PI))
        grant_role(user=person, role=role, obj=obj, by=request.user)
        return _("{person_name} is {role_label} now.").format(person_name=person.name, role_label=_(role.label))

    try:
        done = save(form, service)
    except NotFound as error:
        add_problems(form, error)
        return False
    if done:
        messages.success(request, done)
    return bool(done)


@page("POST")
def study_role_revoke(request: PageRequest, study_id: UUID, user_id: UUID, role: str) -> HttpResponse:
    """Take a role in the study back."""
    return _revoke(request, find_study(request, study_id), "study-people", user_id, role)


@page("POST")
def site_role_revoke(request: PageRequest, site_id: UUID, user_id: UUID, role: str) -> HttpResponse:
    """Take a role at the site back."""
    return _revoke(request, find_site(request, site_id), "site-people", user_id, role)


def _revoke(request: PageRequest, obj: Model, name: str, user_id: UUID, role: str) -> HttpResponse:
    check(request.user, _permission(obj), obj)
    if role not in set(Role):
        raise Http404
    person = person_named(str(user_id))
    back, done = (
        reverse(f"web:{name}", args=[obj.pk]),
        _("{person_name} is not {role_label} any more.").format(
            person_name=person.name, role_label=_(Role(role).label)
        ),
    )
    return act(request, back, done, lambda: revoke_role(user=person, role=Role(role), obj=obj, by=request.user))
