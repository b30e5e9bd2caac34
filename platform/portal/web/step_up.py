"""Asking again who it is, in the place of the page that was asked for, and going on with what was sent."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts import factors
from accounts.models import User
from accounts.services import note_refused_sign_in
from fedstudy_core.codes import CODES
from fedstudy_core.errors import Forbidden
from portal.step_up import is_act, is_fresh_in, note_shown
from portal.throttles import forget_codes, may_try_a_code, may_try_a_password
from portal.web.advice import said
from portal.web.forms.factors import FactorForm, ShowForm

PREFIX = "step-up"
THEN = f"{PREFIX}-then"
# What a page never holds: a new password is typed again where the form lay too long.
NOT_CARRIED = frozenset({"csrfmiddlewaretoken", "new"})


def show_first(request: HttpRequest, user: User) -> HttpResponse | None:
    """The question whether it is still the person, where an act wants it; None to go on.

    What was sent, save a new password, is carried along in the question's form and is the request's again afterwards.
    """
    match = request.resolver_match
    if match is None or not is_act(request.method, match.view_name, user, lambda: request.POST):
        return None
    if not is_fresh_in(request.session):
        if THEN not in request.POST:
            return _question(request, user, _form(request, user), "", 403)
        trouble, status = _try(request, user, _form(request, user))
        if trouble:
            return _question(request, user, _form(request, user, empty=True), trouble, status)
        note_shown(request.session)
    if request.POST.get(THEN) == "GET":
        return redirect(request.get_full_path())
    _restore(request)
    return None


def _question(request: HttpRequest, user: User, form: FactorForm | ShowForm, trouble: str, status: int) -> HttpResponse:
    sent = [(name, value) for name, values in request.POST.lists() for value in values if not name.startswith(PREFIX)]
    held = factors.factors_of(user)
    context = {
        "form": form,
        "trouble": trouble,
        "then": request.POST.get(THEN, request.method),
        "sent": [pair for pair in sent if pair[0] not in NOT_CARRIED],
        "has_passkey": held.filter(type=factors.PASSKEY).exists(),
        "minutes": settings.FEDSTUDY_STEP_UP_S // 60,
    }
    return render(request, "accounts/step_up.html", context, status=status)


def _form(request: HttpRequest, user: User, *, empty: bool = False) -> FactorForm | ShowForm:
    kind: Callable[..., FactorForm | ShowForm] = FactorForm if factors.has_factor(user) else ShowForm
    data = request.POST if THEN in request.POST and not empty else None
    return kind(data, prefix=PREFIX)


def _try(request: HttpRequest, user: User, form: FactorForm | ShowForm) -> tuple[str, int]:
    """What was wrong with what the person showed, and the answer's status; or no words."""
    if not form.is_valid():
        return _("Nothing was typed."), 400
    data = form.cleaned_data
    is_password = isinstance(form, ShowForm)
    if not (may_try_a_password(request) if is_password else may_try_a_code(request, user)):
        return said(CODES["E_THROTTLED"]), 429
    try:
        if is_password:
            if not user.check_password(data["password"]):
                raise Forbidden("E_CREDENTIALS", "This is not your password.")
        elif data["credential"]:
            factors.check_passkey(user, data["credential"])
        else:
            factors.check_code(user, data["code"])
    except Forbidden as error:
        note_refused_sign_in(email=user.email)
        return said(error.detail), 400
    if not is_password:
        forget_codes(user)
    return "", 200


def _restore(request: HttpRequest) -> None:
    """Take away from what was sent what only the question added."""
    kept = QueryDict(mutable=True)
    for name, values in request.POST.lists():
        if not name.startswith(PREFIX):
            kept.setlist(name, values)
    request.POST = kept  # type: ignore[assignment]
