"""Signing in with a second factor, and setting up the first one on the way in."""

from __future__ import annotations

from typing import Any

import structlog
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.webauthn.internal import auth as webauthn
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import factors
from accounts.models import User
from accounts.services import note_refused_sign_in
from fedstudy_core.codes import CODES
from fedstudy_core.errors import Forbidden
from portal.throttles import SignInByAddress, forget_codes, may_try_a_code
from portal.web.advice import said
from portal.web.forms.factors import FactorForm, NewFactorForm
from portal.web.pages import save
from portal.web.presenters.account import app_to_add
from portal.web.signing_in import let_in, who_waits

log = structlog.get_logger("portal.web")


@require_http_methods(["GET", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor of somebody whose password was right."""
    user = who_waits(request)
    if user is None:
        return redirect("web:sign-in")
    if not factors.has_factor(user):
        return redirect("web:sign-in-set-up")
    form, trouble, status = FactorForm(request.POST or None), "", 200
    if request.method == "POST":
        trouble, status = (_("Type the code."), 400)
        if form.is_valid():
            trouble, status = try_factor(request, user, form.cleaned_data)
        if not trouble:
            return redirect(let_in(request, user, way=_way(form.cleaned_data)))
    held = set(factors.factors_of(user).values_list("type", flat=True))
    context = {"form": FactorForm(), "trouble": trouble, "has_passkey": factors.PASSKEY in held}
    return render(request, "accounts/second_factor.html", context, status=status)


@require_http_methods(["GET", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """Have somebody set up their first factor before anything else."""
    user = who_waits(request)
    if user is None:
        return redirect("web:sign-in")
    if factors.has_factor(user):
        return redirect("web:sign-in-factor")
    form = NewFactorForm(request.POST or None)
    if request.method == "POST":
        codes = save(form, lambda data: add_factor(request, user, data))
        if codes is not None:
            shown = {"codes": codes, "goes_to": let_in(request, user, way=_way(form.cleaned_data))}
            return render(request, "accounts/recovery_codes.html", shown, status=201)
    context = {"form": form, "app": app_to_add(user, totp.get_totp_secret())}
    return render(request, "accounts/set_up.html", context, status=400 if form.errors else 200)


@require_POST
def passkey(request: HttpRequest) -> HttpResponse:
    """Sign in by a passkey alone: it is two factors by itself, as it asks for a PIN or a finger."""
    form = FactorForm(request.POST)
    throttle = SignInByAddress()
    if throttle.allow_request(request, None) and form.is_valid():
        try:
            user = factors.check_passkey(None, form.cleaned_data["credential"] or {})
            return redirect(let_in(request, user, way="passkey"))
        except Forbidden:
            note_refused_sign_in(email="")
    log.warning("sign-in refused", address=request.META.get("REMOTE_ADDR", ""))
    return redirect(f"{reverse('web:sign-in')}?passkey=refused")


@require_GET
def passkey_options(request: HttpRequest, purpose: str) -> HttpResponse:
    """What a browser asks a passkey: to sign in, to be the second factor, or to be a new one."""
    user = who_waits(request) or (request.user if isinstance(request.user, User) else None)
    if purpose == "sign-in":
        return JsonResponse(webauthn.begin_authentication())
    if user is None or purpose not in ("factor", "new"):
        raise Http404
    if purpose == "factor":
        return JsonResponse(webauthn.begin_authentication(user))
    return JsonResponse(webauthn.begin_registration(user, passwordless=True))


def _way(data: dict[str, Any]) -> str:
    return "passkey" if data.get("credential") else "code"


def try_factor(request: HttpRequest, user: User, data: dict[str, Any]) -> tuple[str, int]:
    """Try a factor of the person's; what was wrong and the answer's status, or no words."""
    if not may_try_a_code(request, user):
        return said(CODES["E_THROTTLED"]), 429
    try:
        if data.get("credential"):
            factors.check_passkey(user, data["credential"])
        else:
            factors.check_code(user, data["code"])
    except Forbidden as error:
        note_refused_sign_in(email=user.email)
        return said(error.detail), 400
    forget_codes(user)
    return "", 200


def add_factor(request: HttpRequest, user: User, data: dict[str, Any]) -> list[str]:
    """Add the factor that a form describes; the first comes with recovery codes."""
    if data.get("credential"):
        return factors.add_passkey(name=data.get("name", ""), credential=data["credential"], by=user)
    codes = factors.add_app(secret=totp.get_totp_secret(), code=data["code"], by=user)
    totp.clear_totp_secret(request)
    return codes
