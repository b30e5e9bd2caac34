"""Signing in and out; each is an event of the log."""

from __future__ import annotations

from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.identities import replaces_password
from accounts.services import note_refused_sign_in
from audit.services import record
from fedstudy_core.codes import CODES
from portal.throttles import may_try_to_sign_in
from portal.web.advice import said
from portal.web.forms.accounts import SignInForm
from portal.web.signing_in import let_in, needs_factor, wait_for_factor

# What became of single sign-on, by what its addresses lead back with: a tone and words.
SSO_WORDS = {
    "refused": ("bad", gettext_noop("Single sign-on was called off, or its answer did not fit. Try again.")),
    "away": ("bad", gettext_noop("Single sign-on does not answer. Try again later, or sign in here.")),
    "throttled": ("bad", CODES["E_THROTTLED"]),
    "unknown": (
        "info",
        gettext_noop(
            "No account is linked to who you are there. Sign in here and link yours under “Your account”; who has no "
            "account is invited by their site or study."
        ),
    ),
    "link": (
        "info",
        gettext_noop("There is an account with your e-mail address. Sign in to it here this once, and it is linked."),
    ),
    "taken": (
        "info",
        gettext_noop(
            "Your address has an account already, or who you are there is linked to one. Have the role given to that."
        ),
    ),
    "nameless": ("bad", gettext_noop("Your name is missing: open the link that you were sent again, and type it.")),
}

log = structlog.get_logger("portal.web")


class SignIn(LoginView):
    """Sign in; whoever is signed in already goes on."""

    http_method_names = ["get", "head", "post"]
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if may_try_to_sign_in(request):
            return super().post(request, *args, **kwargs)
        context = self.get_context_data(form=SignInForm(request), trouble=said(CODES["E_THROTTLED"]))
        return self.render_to_response(context, status=429)

    @transaction.atomic
    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        if replaces_password(user):
            form.add_error(None, said(CODES["E_SINGLE_SIGN_ON"]))
            return self.form_invalid(form)
        if needs_factor(user):
            wait_for_factor(self.request, user, self.get_success_url())
            return redirect("web:sign-in-factor")
        goes_to = self.get_success_url()
        let_in(self.request, user, way="password")
        return redirect(goes_to)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = super().get_context_data(**kwargs)
        sso = settings.FEDSTUDY_SINGLE_SIGN_ON
        told = SSO_WORDS.get(self.request.GET.get("sso", ""))
        words = (told[0], _(told[1])) if told else None
        return {**found, "sso": sso.name if sso.issuer else "", "sso_told": words}

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        note_refused_sign_in(email=str(form.data.get("username", "")))
        log.warning("sign-in refused", address=self.request.META.get("REMOTE_ADDR", ""))
        return super().form_invalid(form)


class SignOut(LogoutView):
    """Sign out, by POST only."""

    http_method_names = ["post"]

    @transaction.atomic
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            record(action="accounts:session:closed", actor=request.user, obj=request.user)
        return super().post(request, *args, **kwargs)
