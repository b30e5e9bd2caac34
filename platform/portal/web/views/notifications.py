"""What the reader is told: the list behind the bell."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from fedstudy_core.errors import NotFound
from notifications import selectors, services
from notifications.models import ALWAYS, KINDS
from portal.web.lists import page_of
from portal.web.pages import PageRequest, act, page, render_page
from portal.web.presenters.notices import kind_rows, news_rows

PER_PAGE = 30


@page()
def notifications(request: PageRequest) -> HttpResponse:
    """Everything that the reader was told, the newest first."""
    found = page_of(request, selectors.visible_to(request.user), "-created_at", "-id", size=PER_PAGE)
    context = {
        "page": found,
        "rows": news_rows(found),
        "by_email": selectors.wants_email(request.user),
        "sends_email": settings.FEDSTUDY_SENDS_EMAIL,
    }
    return render_page(request, "notifications/list.html", context)


@page()
def bell(request: PageRequest) -> HttpResponse:
    """The bell in the bar, with how many are new; a part of every page."""
    return render(request, "notifications/_bell.html", {"unread": selectors.unread_count(request.user)})


@page("GET", "POST")
def kinds(request: PageRequest) -> HttpResponse:
    """Choose which kinds to be told of, and how."""
    if request.method == "POST":
        left_out = {
            "not_on_page": [kind for kind in KINDS if kind not in {*request.POST.getlist("page"), *ALWAYS}],
            "not_by_email": [kind for kind in KINDS if kind not in request.POST.getlist("email")],
        }
        back, done = reverse("web:notifications"), _("You are told what you chose from now on.")
        return act(request, back, done, lambda: services.choose_kinds(**left_out, by=request.user))
    said = selectors.preference_of(request.user)
    context = {
        "rows": kind_rows(said),
        "by_email": said.by_email,
        "sends_email": settings.FEDSTUDY_SENDS_EMAIL,
        "crumbs": [(_("Notifications"), reverse("web:notifications"))],
    }
    return render_page(request, "notifications/settings.html", context)


@page("POST")
def follow(request: PageRequest, notification_id: UUID) -> HttpResponse:
    """Mark one as read and go where it leads."""
    found = selectors.visible_to(request.user).filter(pk=notification_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such notification, or it is not yours to see.")
    return redirect(services.mark_read(notification=found, by=request.user).link)


@page("POST")
def read_all(request: PageRequest) -> HttpResponse:
    """Mark all of them as read."""
    back = reverse("web:notifications")
    return act(request, back, _("All are marked as read."), lambda: services.mark_all_read(by=request.user))


@page("POST")
def email(request: PageRequest) -> HttpResponse:
    """Choose whether to get e-mail."""
    wanted = request.POST.get("by_email") == "on"
    done = _("You get e-mail from now on.") if wanted else _("You get no more e-mail.")
    back = reverse("web:notifications")
    return act(request, back, done, lambda: services.choose_email(by_email=wanted, by=request.user))
