"""One's own second factors."""

from __future__ import annotations

from collections.abc import Sequence

from allauth.mfa.totp.internal import auth as totp
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import factors
from fedstudy_core.errors import FedStudyError
from portal.web.advice import said_with_code
from portal.web.forms.factors import NewFactorForm
from portal.web.pages import PageRequest, act, page, render_page, save
from portal.web.presenters.account import account_tabs, app_to_add, factor_rows
from portal.web.views.second_factor import add_factor

HERE = "web:account-factors"


@page("GET", "POST")
def own_factors(request: PageRequest) -> HttpResponse:
    """The reader's factors, and a form for another one; recovery codes are shown once, with the first."""
    form = NewFactorForm(request.POST or None)
    if request.method == "POST":
        codes = save(form, lambda data: add_factor(request, request.user, data))
        if codes is not None:
            messages.success(request, _("The second factor is added."))
            return _shown(request, NewFactorForm(), codes, 201) if codes else redirect(HERE)
    return _shown(request, form, (), 400 if form.errors else 200)


@page("POST")
def remove(request: PageRequest, factor_id: str) -> HttpResponse:
    """Remove one of the reader's factors."""
    factor = factors.factor_named(request.user, factor_id)
    done = _("It does not let you in any more.")
    return act(request, reverse(HERE), done, lambda: factors.remove_factor(factor=factor, by=request.user))


@page("POST")
def recovery_codes(request: PageRequest) -> HttpResponse:
    """Make new recovery codes, shown on the page that answers."""
    try:
        codes = factors.renew_recovery_codes(by=request.user)
    except FedStudyError as error:
        messages.error(request, said_with_code(error))
        return redirect(HERE)
    return _shown(request, NewFactorForm(), codes, 201)


def _shown(request: PageRequest, form: NewFactorForm, codes: Sequence[str], status: int) -> HttpResponse:
    found = list(factors.factors_of(request.user))
    has_app = any(item.type == factors.APP for item in found)
    context = {
        "tabs": account_tabs("account-factors"),
        "form": form,
        "rows": factor_rows(found),
        "codes": codes,
        "left": factors.recovery_codes_left(request.user),
        "required": factors.are_required(),
        "app": None if has_app else app_to_add(request.user, totp.get_totp_secret()),
    }
    return render_page(request, "account/factors.html", context, status=status)
