"""Asking for roles by a join code, deciding on what others ask for, and the codes themselves."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import Model
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import asking
from accounts.models import AccessRequest
from accounts.roles import Role
from fedstudy_core.codes import CODES
from fedstudy_core.errors import Forbidden
from portal.throttles import may_try_a_join_code
from portal.web.advice import said
from portal.web.forms.access import AskForm, CodeForm
from portal.web.lists import page_of
from portal.web.pages import PageRequest, act, page, render_page, save
from portal.web.presenters.access import request_rows
from portal.web.presenters.account import account_tabs
from portal.web.views.sites import find_site
from portal.web.views.studies import find_study

HERE = "web:access"


@page("GET", "POST")
def access(request: PageRequest) -> HttpResponse:
    """What waits for the reader's answer, what they asked for, and a form to ask; `?code=` names where."""
    given, trouble = request.POST.get("code") or request.GET.get("code", ""), ""
    form: CodeForm | AskForm = CodeForm(initial={"code": given})
    obj = None
    if given:
        obj, trouble = _behind(request, given)
    if obj is not None:
        roles = asking.roles_in(obj)
        form = AskForm(request.POST or None, roles=roles, initial={"code": given})
        if request.method == "POST" and save(form, lambda data: _ask(request, data)) is not None:
            messages.success(request, _("You asked for a role in {obj}. You are told what is decided.").format(obj=obj))
            return redirect(HERE)
    context = {
        "tabs": account_tabs("access"),
        "to_decide": request_rows(_open(request)),
        "page": (found := page_of(request, asking.requests_of(request.user), "-asked_at", "id", size=20)),
        "own": request_rows(found),
        "form": form,
        "where": obj,
        "trouble": trouble,
    }
    return render_page(request, "account/access.html", context, status=400 if trouble or form.errors else 200)


def _behind(request: PageRequest, code: str) -> tuple[Model | None, str]:
    """What a code leads to, or what is wrong with it."""
    if not may_try_a_join_code(request):
        return None, said(CODES["E_THROTTLED"])
    try:
        return asking.object_behind(code), ""
    except Forbidden as error:
        return None, said(error.detail)


def _ask(request: PageRequest, data: dict[str, Any]) -> AccessRequest:
    return asking.ask_for_role(**{**data, "role": Role(data["role"])}, by=request.user)


def _open(request: PageRequest) -> Any:
    """What the reader decides on."""
    rows = asking.requests_to(request.user).filter(state="asked").exclude(person=request.user)
    return rows.order_by("asked_at", "id")[:100]


@page("POST")
def decide(request: PageRequest, request_id: UUID, verb: str) -> HttpResponse:
    """Accept or refuse a request, or take one's own back."""
    found = asking.request_seen_by(request.user, request_id)
    answer = request.POST.get("answer", "").strip()[:500]
    services = {
        "accept": lambda: asking.accept_request(request=found, answer=answer, by=request.user),
        "refuse": lambda: asking.refuse_request(request=found, answer=answer, by=request.user),
        "withdraw": lambda: asking.withdraw_request(request=found, by=request.user),
    }
    done = {
        "accept": _("{person_name} is {role_label} now.").format(
            person_name=found.person.name, role_label=_(Role(found.role).label)
        ),
        "refuse": _("{person_name} is told that you refused.").format(person_name=found.person.name),
        "withdraw": _("You do not ask for it any more."),
    }
    return act(request, reverse(HERE), done[verb], services[verb])


@page("POST")
def study_join_code(request: PageRequest, study_id: UUID) -> HttpResponse:
    """Make a join code of the study, or end it."""
    return _join_code(request, find_study(request, study_id), reverse("web:study-people", args=[study_id]))


@page("POST")
def site_join_code(request: PageRequest, site_id: UUID) -> HttpResponse:
    """Make a join code of the site, or end it."""
    return _join_code(request, find_site(request, site_id), reverse("web:site-people", args=[site_id]))


def _join_code(request: PageRequest, obj: Model, back: str) -> HttpResponse:
    if request.POST.get("verb") == "end":
        done = _("The code leads nowhere any more. What was asked by it still waits.")
        return act(request, back, done, lambda: asking.end_join_code(obj=obj, by=request.user))
    done = _("There is a new join code; one of before leads nowhere any more.")
    return act(request, back, done, lambda: asking.make_join_code(obj=obj, by=request.user))


def join_link(obj: Model) -> str:
    """The address that a join code stands in; empty where there is none."""
    found = asking.join_code_of(obj)
    return f"{settings.FEDSTUDY_PUBLIC_URL}{reverse(HERE)}?code={found.code}" if found else ""
