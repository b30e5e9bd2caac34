"""One's own account: profile, password, tokens of the API, sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from accounts import sessions
from accounts.identities import replaces_password
from accounts.models import ApiToken
from accounts.profile import change_password, choose_language, choose_time_zone, rename_self
from accounts.tokens import make_token, revoke_token, tokens_of
from fedstudy_core.codes import CODES
from fedstudy_core.errors import NotFound
from portal.languages import language_of
from portal.throttles import may_try_a_password
from portal.web.advice import said
from portal.web.forms.account import LanguageForm, NameForm, PasswordForm, TimeZoneForm, TokenForm
from portal.web.pages import PageRequest, act, page, render_page, save
from portal.web.presenters.account import account_tabs, places, token_rows


@page("GET", "POST")
def profile(request: PageRequest) -> HttpResponse:
    """Name, e-mail address and roles."""
    form = NameForm(request.POST or None, initial={"name": request.user.name})
    if request.method == "POST" and save(form, lambda data: rename_self(**data, by=request.user)) is not None:
        messages.success(request, _("Your name is changed."))
        return redirect("web:account")
    zones = TimeZoneForm(initial={"time_zone": request.user.time_zone})
    languages = LanguageForm(initial={"language": request.user.language})
    forms = {"form": form, "zones": zones, "languages": languages}
    return _render(request, "account", {**forms, "held": request.user.roles})


@page("POST")
def time_zone(request: PageRequest) -> HttpResponse:
    """Choose the time zone of pages."""
    form, back = TimeZoneForm(request.POST), reverse("web:account")
    chosen = form.data.get("time_zone", "")
    done = _("Times are {chosen} now.").format(chosen=chosen)
    return act(request, back, done, lambda: choose_time_zone(time_zone=chosen, by=request.user))


@page("POST")
def language(request: PageRequest) -> HttpResponse:
    """Choose the language of pages."""
    chosen, back = request.POST.get("language", ""), reverse("web:account")
    with translation.override(language_of(request, chosen)):
        done = _("Pages are in this language now.")
    return act(request, back, done, lambda: choose_language(language=chosen, by=request.user))


@page("GET", "POST")
def password(request: PageRequest) -> HttpResponse:
    """Set a new password, or a first one; it signs one out everywhere else."""
    is_first = not request.user.has_usable_password()
    form = PasswordForm(request.POST or None, is_first=is_first)
    context = {"form": form, "is_first": is_first, "is_replaced": is_first and replaces_password(request.user)}
    if request.method == "POST":
        if not may_try_a_password(request):
            trouble = {"form": PasswordForm(is_first=is_first), "trouble": said(CODES["E_THROTTLED"])}
            return _render(request, "account-password", {**context, **trouble}, 429)
        keep = sessions.handle_of(request.session)
        user = save(form, lambda data: change_password(**data, keep=keep, by=request.user))
        if user is not None:
            update_session_auth_hash(request, user)
            messages.success(request, _told(is_first=is_first))
            return redirect("web:account-password")
    return _render(request, "account-password", context)


def _told(*, is_first: bool) -> str:
    if is_first:
        return _("Your password is set: you can now sign in without your organisation's sign-on.")
    return _("Your password is changed, and your other sessions are over.")


@page("GET", "POST")
def tokens(request: PageRequest) -> HttpResponse:
    """The reader's tokens; a new one is shown once, on the page that answers."""
    form = TokenForm(request.POST or None)
    if request.method == "POST":
        made = save(form, lambda data: make_token(**data, by=request.user))
        if made is not None:
            return _tokens(request, TokenForm(), made, 201)
    return _tokens(request, form, None, 200)


def _tokens(request: PageRequest, form: TokenForm, made: tuple[ApiToken, str] | None, status: int) -> HttpResponse:
    rows = token_rows(tokens_of(request.user))
    secret = {"name": made[0].name, "text": made[1]} if made else None
    return _render(request, "account-tokens", {"form": form, "rows": rows, "made": secret}, status)


@page("POST")
def token_revoke(request: PageRequest, token_id: UUID) -> HttpResponse:
    """End one of the reader's tokens."""
    token = tokens_of(request.user).filter(pk=token_id).first()
    if token is None:
        raise NotFound("E_NOT_FOUND", "There is no such token, or it is not yours.")
    back, done = (
        reverse("web:account-tokens"),
        _("The token “{token_name}” opens nothing any more.").format(token_name=token.name),
    )
    return act(request, back, done, lambda: revoke_token(token=token, by=request.user))


@page()
def places_signed_in(request: PageRequest) -> HttpResponse:
    """Where the reader is signed in."""
    found = places(sessions.sessions_of(request.user), sessions.handle_of(request.session))
    return _render(request, "account-sessions", {"rows": found, "has_others": len(found) > 1})


@page("POST")
def session_end(request: PageRequest, session_id: UUID) -> HttpResponse:
    """End one of the reader's sessions."""
    back = reverse("web:account-sessions")
    return act(request, back, _("That session is over."), lambda: sessions.end_session(id=session_id, by=request.user))


@page("POST")
def sessions_end(request: PageRequest) -> HttpResponse:
    """End all of the reader's sessions but this one."""
    keep, back = sessions.handle_of(request.session), reverse("web:account-sessions")
    done = _("You are signed in here only.")
    return act(request, back, done, lambda: sessions.end_other_sessions(keep=keep, by=request.user))


def _render(request: PageRequest, name: str, context: Mapping[str, Any], status: int = 200) -> HttpResponse:
    form = context.get("form")
    refused = status == 200 and form is not None and form.errors
    template = f"account/{name.partition('-')[2] or 'profile'}.html"
    return render_page(request, template, {"tabs": account_tabs(name), **context}, status=400 if refused else status)
