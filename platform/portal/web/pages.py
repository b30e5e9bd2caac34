"""What every page shares: who may look, the frame around it, and errors as pages or messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.timezone import override
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.permissions import Denied, rights_stand
from accounts.refusals import note_denied
from fedstudy_core.errors import FedStudyError, Forbidden, NotFound
from notifications.selectors import unread_count
from portal.web.advice import said, said_with_code, words_of
from portal.web.presenters.navigation import main_navigation
from portal.web.presenters.rights import advice_on
from portal.web.readers import Access, access_of
from portal.web.step_up import show_first


class PageRequest(HttpRequest):
    """A request of somebody who is signed in; ``access`` says what they lead and speak for."""

    user: User
    access: Access
    htmx: Any


P = ParamSpec("P")
Result = TypeVar("Result")


def page(
    *methods: str,
) -> Callable[[Callable[Concatenate[PageRequest, P], HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """A view for people who are signed in; an error of the domain becomes a page that helps."""

    def decorate(view: Callable[Concatenate[PageRequest, P], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        def signed_in(request: PageRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            asked = show_first(request, request.user)
            if asked is not None:
                return asked
            try:
                with (
                    override(request.user.zone),
                    rights_stand() if request.method in ("GET", "HEAD") else nullcontext(),
                ):
                    request.access = access_of(request.user)
                    return view(request, *args, **kwargs)
            except FedStudyError as error:
                if isinstance(error, Denied):
                    note_denied(error, by=request.user)
                return render_error(request, error)

        checked = login_required(require_http_methods(list(methods) or ["GET"])(signed_in))

        @wraps(view)
        def wrapped(request: PageRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            is_stranger = isinstance(request.user, AnonymousUser)
            if is_stranger and request.htmx:
                return HttpResponse(status=401)  # a part of a page; the whole page leads to the sign-in
            return checked(request, *args, **kwargs)

        return wrapped

    return decorate


def render_page(request: PageRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """A page in its frame: navigation, roles, version."""
    return render(request, template, {**frame_of(request, request.user, request.access), **context}, status=status)


def frame_of(request: HttpRequest, user: User, access: Access) -> dict[str, Any]:
    """What the frame around a page shows: navigation, roles, unread notices, version."""
    return {
        "navigation": main_navigation(
            request.path,
            sees_sites=access.sees_sites,
            sees_log=access.sees_log,
            sees_platform=access.is_platform_admin,
        ),
        "roles": access.roles,
        "unread": unread_count(user),
        "portal_version": settings.FEDSTUDY_VERSION,
        "time_zone": user.zone.key,
    }


def render_form(
    request: PageRequest,
    form: forms.Form,
    *,
    heading: str,
    lead: str,
    action: str,
    crumbs: Sequence[tuple[str, str]],
    template: str = "studies/form.html",
    **extra: Any,
) -> HttpResponse:
    """A form on a page of its own; cancelling leads back to the last breadcrumb."""
    words = {"heading": heading, "lead": lead, "action": action, "crumbs": crumbs, "back": crumbs[-1][1]}
    return render_page(request, template, {"form": form, **words, **extra}, status=400 if form.errors else 200)


ERROR_HEADER = "FedStudy-Error"  # marks a part of a page that says what went wrong


def render_error(request: HttpRequest, error: FedStudyError) -> HttpResponse:
    """An error of the domain as a page with its code and what to do."""
    return render_trouble(request, words_of(error.status, code=error.code, advice=advice_on(error)))


def render_trouble(request: HttpRequest, words: Mapping[str, Any]) -> HttpResponse:
    """What went wrong (`words_of`) as a page; for htmx as a notice, which the page that asked shows at its top."""
    status = words["status"]
    if getattr(request, "htmx", False):
        part = render(request, "errors/_part.html", words, status=status)
        part.headers[ERROR_HEADER] = words["code"]
        return part
    user = getattr(request, "user", None)
    frame: Mapping[str, Any] = {}
    if isinstance(user, User) and user.is_active:
        frame = frame_of(request, user, getattr(request, "access", None) or access_of(user))
    return render(request, "errors/error.html", {**frame, **words}, status=status)


def act(request: HttpRequest, back: str, done: str, service: Callable[[], object]) -> HttpResponse:
    """Call a service for a button, say what became of it, and go back to the page."""
    with refusals_said(request):
        service()
        messages.success(request, done)
    return redirect(back)


@contextmanager
def refusals_said(request: HttpRequest) -> Iterator[None]:
    """What a service refuses is said on the page that comes next; what is not the person's stays an error."""
    try:
        yield
    except (NotFound, Forbidden):
        raise
    except FedStudyError as error:
        messages.error(request, said_with_code(error))


def save(form: forms.Form, service: Callable[[dict[str, Any]], Result]) -> Result | None:
    """Call a service with a form's data; what it refuses is said at the form, field by field. None then."""
    if not form.is_valid():
        return None
    try:
        return service(form.cleaned_data)
    except (NotFound, Forbidden):
        raise
    except FedStudyError as error:
        add_problems(form, error)
        return None


def add_problems(form: forms.Form, error: FedStudyError) -> None:
    """Put the problems of an error to the fields they belong to; the rest stands above the form."""
    named = [problem for problem in error.errors if problem.field in form.fields]
    for problem in named:
        form.add_error(problem.field, said(problem.detail))
    others = [problem for problem in error.errors if problem.field not in form.fields]
    for problem in others:
        form.add_error(None, f"{problem.field}: {said(problem.detail)}")
    if not error.errors:
        form.add_error(None, said_with_code(error))
