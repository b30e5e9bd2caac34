"""What administrators see of the platform: its health, its nodes, its queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.permissions import Permission, check
from federation.runs.overview import overview
from nodes.registry import selectors as registry
from nodes.registry.versions import narrowed_nodes, spread
from portal import health
from portal.web.forms.platform import NodeFilterForm
from portal.web.lists import page_of
from portal.web.pages import PageRequest, page, render_page
from portal.web.presenters.navigation import platform_tabs
from portal.web.presenters.platform import PARTS, node_lines


def render_platform(
    request: PageRequest, name: str, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """A page of the platform, with its tabs."""
    return render_page(request, f"platform/{template}.html", {"tabs": platform_tabs(name), **context}, status=status)


@page()
def health_page(request: PageRequest) -> HttpResponse:
    """How the parts are, and which versions run; for htmx only the parts."""
    check(request.user, Permission.HEALTH_VIEW)
    context = {"parts": [(_(PARTS[part.name]), part) for part in health.parts()]}
    if request.htmx:
        return render(request, "platform/_parts.html", context)
    nodes = spread(registry.visible_to(request.user), settings.FEDSTUDY_VERSION)
    return render_platform(request, "platform", "health", {**context, "software": health.software(), "nodes": nodes})


@page()
def nodes(request: PageRequest) -> HttpResponse:
    """All nodes and their versions."""
    check(request.user, Permission.HEALTH_VIEW)
    form = NodeFilterForm(request.GET)
    asked = {name: form.cleaned_data.get(name, "") for name in form.fields} if form.is_valid() else {}
    rows = narrowed_nodes(registry.visible_to(request.user), settings.FEDSTUDY_VERSION, **asked)
    found = page_of(request, rows.select_related("site").defer("approvers", "boots"), "name", "id")
    context = {
        "filter_form": form,
        "is_filtered": any(asked.values()),
        "page": found,
        "rows": node_lines(found, settings.FEDSTUDY_VERSION),
        "portal": settings.FEDSTUDY_VERSION,
    }
    return render_platform(request, "platform-nodes", "nodes", context)


@page()
def queue(request: PageRequest) -> HttpResponse:
    """The runs under way, and those that wait for their turn; for htmx only these."""
    check(request.user, Permission.HEALTH_VIEW)
    context = {"queue": overview(timezone.now())}
    if request.htmx:
        return render(request, "platform/_queue.html", context)
    return render_platform(request, "platform-queue", "queue", context)
