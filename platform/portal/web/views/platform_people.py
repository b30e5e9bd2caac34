"""The accounts of all people, for administrators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.directory import account_of, narrowed_accounts, roles_counted
from accounts.factors import reset_factors
from accounts.models import User
from accounts.moving import move_person
from accounts.permissions import Permission, check
from accounts.selectors import visible_accounts, visible_sites
from accounts.services import create_user, set_active
from fedstudy_core.errors import NotFound
from portal.waiting import waiting_for
from portal.web.forms.platform import MoveForm, NewAccountForm, PeopleFilterForm
from portal.web.lists import page_of
from portal.web.pages import PageRequest, act, page, render_form, save
from portal.web.presenters.platform import account_rows, role_rows, state_of, waiting_rows
from portal.web.views.platform import render_platform


@page()
def people(request: PageRequest) -> HttpResponse:
    """Everybody who has an account."""
    check(request.user, Permission.USERS_MANAGE)
    form = PeopleFilterForm(request.GET)
    rows = visible_accounts(request.user)
    if form.is_valid():
        rows = narrowed_accounts(rows, q=form.cleaned_data["q"], is_active=form.is_active)
    found = page_of(request, rows, "name", "id")
    context = {
        "filter_form": form,
        "is_filtered": any(form.cleaned_data.values()),
        "page": found,
        "rows": account_rows(found, roles_counted(found)),
    }
    return render_platform(request, "platform-people", "people", context)


@page("GET", "POST")
def new(request: PageRequest) -> HttpResponse:
    """Open an account for somebody."""
    check(request.user, Permission.USERS_MANAGE)
    form = NewAccountForm(request.POST or None)
    made = save(form, lambda data: create_user(**data, by=request.user)) if request.method == "POST" else None
    if made:
        messages.success(
            request, _("{made_name} has an account. Hand the password over in person.").format(made_name=made.name)
        )
        return redirect("web:platform-person", made.pk)
    return render_form(
        request,
        form,
        heading=_("Open an account"),
        lead=_("People of studies and sites are better invited there: then they choose their password themselves."),
        action=_("Open the account"),
        crumbs=[(_("People"), reverse("web:platform-people"))],
    )


def find_account(request: PageRequest, user_id: UUID) -> User:
    """The person, if the reader manages accounts; NotFound otherwise."""
    found = visible_accounts(request.user).filter(pk=user_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such account, or it is not yours to see.")
    return found


@page()
def person(request: PageRequest, user_id: UUID) -> HttpResponse:
    """One person: their roles, what lets them in, and what an administrator may do."""
    account = account_of(find_account(request, user_id))
    context = {
        "account": account,
        "person": account.user,
        "state": state_of(account.user),
        "held": role_rows(account),
        "waiting": waiting_rows(waiting_for(account.user)),
        "may_move": any(held.kind == "site" for held in account.roles),
        "is_self": account.user.pk == request.user.pk,
        "crumbs": [(_("People"), reverse("web:platform-people"))],
    }
    return render_platform(request, "platform-people", "person", context)


@page("POST")
def close(request: PageRequest, user_id: UUID) -> HttpResponse:
    """Close an account: the person is out at once."""
    found = find_account(request, user_id)
    done = _("The account of {found_name} is closed; sessions and tokens are over.").format(found_name=found.name)
    return act(request, _page(found), done, lambda: set_active(user=found, is_active=False, by=request.user))


@page("POST")
def reopen(request: PageRequest, user_id: UUID) -> HttpResponse:
    """Open an account again."""
    found = find_account(request, user_id)
    done = _("{found_name} can sign in again, and has the roles of before.").format(found_name=found.name)
    return act(request, _page(found), done, lambda: set_active(user=found, is_active=True, by=request.user))


@page("POST")
def reset(request: PageRequest, user_id: UUID) -> HttpResponse:
    """Remove the second factors of somebody who lost them."""
    found = find_account(request, user_id)
    done = _("{found_name} sets up a new second factor at the next sign-in, and is told.").format(found_name=found.name)
    return act(request, _page(found), done, lambda: reset_factors(user=found, by=request.user))


@page("GET", "POST")
def move(request: PageRequest, user_id: UUID) -> HttpResponse:
    """Move somebody to another site."""
    found = find_account(request, user_id)
    origins = sorted({(held.name, str(held.id)) for held in found.roles if held.kind == "site"})
    sites = visible_sites(request.user)
    form = MoveForm(request.POST or None, origins=[(id, name) for name, id in origins], sites=sites)

    def service(data: dict[str, Any]) -> object:
        return move_person(user=found, origin=sites.get(pk=data["origin"]), to=data["to"], by=request.user)

    if request.method == "POST" and save(form, service) is not None:
        done = _("{name} has no role there any more, and {site} is told.")
        messages.success(request, done.format(name=found.name, site=form.cleaned_data["to"]))
        return redirect(_page(found))
    return render_form(
        request,
        form,
        heading=_("Move {found_name} to another site").format(found_name=found.name),
        lead=_("Roles at the old site and all sessions end at once. At the new site its own people give a role."),
        action=_("Move"),
        crumbs=[(_("People"), reverse("web:platform-people")), (found.name, _page(found))],
        template="platform/move.html",
        waiting=waiting_rows(waiting_for(found)),
    )


def _page(person: User) -> str:
    return reverse("web:platform-person", args=[person.pk])
