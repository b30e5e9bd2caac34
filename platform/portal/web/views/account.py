"""Signing in and out."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView

from portal.web.forms.accounts import SignInForm


class SignIn(LoginView):
    """Sign in; whoever is signed in already goes on."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class SignOut(LogoutView):
    """Sign out, by POST only."""

    http_method_names = ["post", "options"]
