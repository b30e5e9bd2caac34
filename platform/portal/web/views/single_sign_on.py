"""Signing in by single sign-on, and linking one's account to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from requests import RequestException

from accounts.identities import identities_of, link_identity, owner_of, person_behind, unlink_identity
from accounts.invitations import take_up_by_identity
from accounts.models import Invitation, User
from accounts.services import note_refused_sign_in
from fedstudy_core.codes import CODES
from fedstudy_core.errors import Conflict, Forbidden, Invalid
from portal.throttles import SignInByAddress
from portal.web.advice import said
from portal.web.pages import PageRequest, act, page, render_page
from portal.web.presenters.account import account_tabs
from portal.web.signing_in import (
    SINGLE_SIGN_ON,
    has_nothing_to_show,
    let_in,
    needs_factor,
    offer_link,
    wait_for_factor,
)
from portal.web.single_sign_on import LINK, SIGN_IN, Shown, come_back, is_offered, lead_there

log = structlog.get_logger("portal.web")
HERE = "web:account-sso"


@require_GET
def start(request: HttpRequest) -> HttpResponse:
    """Lead to the provider; whoever is signed in already goes on."""
    goes_to = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(
        goes_to, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        goes_to = "/"
    if request.user.is_authenticated:
        return redirect(goes_to)
    return _lead(request, SIGN_IN, goes_to=goes_to)


@require_GET
def back(request: HttpRequest) -> HttpResponse:
    """Where the provider sends people back to."""
    if not is_offered():
        raise Http404
    if not SignInByAddress().allow_request(request, None):
        return _to_sign_in("throttled")
    return come_back(request)


def join(request: HttpRequest, invitation: Invitation, name: str) -> HttpResponse:
    """Lead somebody to the provider who has just shown an invitation's link, to take it up by who they are there."""
    return _lead(request, SIGN_IN, invitation=str(invitation.pk), name=name)


def _lead(request: HttpRequest, process: str, **asked: str) -> HttpResponse:
    if not is_offered():
        raise Http404
    try:
        return lead_there(request, process, **asked)
    except RequestException as error:
        log.error("single sign-on does not answer", error=str(error))
        if process == LINK:
            messages.error(request, _("The provider does not answer; try again later."))
            return redirect(HERE)
        return _to_sign_in("away")


def finish(request: HttpRequest, shown: Shown, process: str, asked: Mapping[str, Any]) -> HttpResponse:
    """Sign in, or link, as somebody whom the provider knows."""
    if process == LINK:
        return _link(request, shown, str(asked.get("person")))
    if asked.get("invitation"):
        return _join(request, shown, asked)
    user = person_behind(shown.issuer, shown.subject)
    if user is None:
        return _stranger(request, shown)
    goes_to = str(asked.get("goes_to") or "/")
    if (needs_factor(user) and not shown.has_factor) or has_nothing_to_show(user):
        wait_for_factor(request, user, goes_to, shown=SINGLE_SIGN_ON)
        return redirect("web:sign-in-factor")
    let_in(request, user, way=SINGLE_SIGN_ON, has_factor=shown.has_factor)
    return redirect(goes_to)


def refuse(request: HttpRequest, error: object = None) -> HttpResponse:
    """What did not come from the provider as it must, or was called off there."""
    log.warning("single sign-on refused", address=request.META.get("REMOTE_ADDR", ""), error=str(error or ""))
    if isinstance(request.user, User):
        messages.error(request, _("Nothing was linked: the provider's answer did not fit."))
        return redirect(HERE)
    note_refused_sign_in(email="")
    return _to_sign_in("refused")


def _join(request: HttpRequest, shown: Shown, asked: Mapping[str, Any]) -> HttpResponse:
    """Open the account of somebody who was invited. A second factor comes next: there is no password to ask for."""
    identity = {"issuer": shown.issuer, "subject": shown.subject, "email": shown.email}
    name = str(asked.get("name") or "").strip() or shown.name.strip() or shown.email.partition("@")[0]
    try:
        user = take_up_by_identity(invitation=UUID(asked["invitation"]), name=name[:120], **identity)
    except Forbidden:
        return render(request, "accounts/invitation_over.html", {"detail": said(CODES["E_INVITATION"])}, status=403)
    except Conflict:
        return _to_sign_in("taken")
    except Invalid:
        return _to_sign_in("nameless")
    messages.success(request, _("Welcome, {user_name}. Your account is open.").format(user_name=user.name))
    wait_for_factor(request, user, "/", shown=SINGLE_SIGN_ON)
    return redirect("web:sign-in-set-up")


def _stranger(request: HttpRequest, shown: Shown) -> HttpResponse:
    """Somebody without a link: who owns a verified e-mail address is offered one, and signs in to the account too."""
    note_refused_sign_in(email=shown.email)
    owner = owner_of(shown.email) if shown.email else None
    if owner is None:
        return _to_sign_in("unknown")
    offer_link(request, owner, issuer=shown.issuer, subject=shown.subject, email=shown.email)
    return _to_sign_in("link")


def _link(request: HttpRequest, shown: Shown, person: str) -> HttpResponse:
    user = request.user
    if not isinstance(user, User) or str(user.pk) != person:
        return _to_sign_in("refused")
    done = _("You can sign in by single sign-on from now on.")
    linked = {"issuer": shown.issuer, "subject": shown.subject, "email": shown.email}
    return act(request, reverse(HERE), done, lambda: link_identity(**linked, by=user))


def _to_sign_in(outcome: str) -> HttpResponse:
    return redirect(f"{reverse('web:sign-in')}?sso={outcome}")


@page()
def own_links(request: PageRequest) -> HttpResponse:
    """What lets the reader in by single sign-on."""
    context = {
        "tabs": account_tabs("account-sso"),
        "rows": identities_of(request.user),
        "provider": settings.FEDSTUDY_SINGLE_SIGN_ON.name,
        "is_offered": is_offered(),
        "replaces_password": _comes_in_by_it_alone(request.user),
    }
    return render_page(request, "account/sso.html", context)


def _comes_in_by_it_alone(user: User) -> bool:
    replaced = settings.FEDSTUDY_SINGLE_SIGN_ON.replaces_password and not user.is_platform_admin
    return replaced or not user.has_usable_password()


@page("POST")
def link(request: PageRequest) -> HttpResponse:
    """Lead to the provider, to link the reader's account to who they are there."""
    return _lead(request, LINK, person=str(request.user.pk))


@page("POST")
def unlink(request: PageRequest, identity_id: UUID) -> HttpResponse:
    """Take a link away."""
    done = _("It does not let you in any more.")
    return act(request, reverse(HERE), done, lambda: unlink_identity(id=identity_id, by=request.user))
