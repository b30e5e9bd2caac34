"""Sites and their nodes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Site
from accounts.permissions import Permission, can, check
from accounts.selectors import visible_sites
from accounts.services import create_site
from fedstudy_core.errors import Conflict, NotFound
from nodes.registry import selectors as registry
from nodes.registry.models import Node
from nodes.registry.services import confirm_node, expect_node, renew_token, revoke_node
from portal.web.advice import said_with_code
from portal.web.forms.studies import NodeForm, SiteForm
from portal.web.lists import page_of
from portal.web.pages import PageRequest, act, page, render_form, render_page, save
from portal.web.presenters.nodes import node_rows, site_rows, site_studies, token_row
from studies.enrolment import selectors as enrolments


@page()
def sites(request: PageRequest) -> HttpResponse:
    """The sites that the person may see, with their nodes."""
    found = page_of(request, visible_sites(request.user), "name", "id")
    nodes = (
        registry.visible_to(request.user).filter(site__in=[site.pk for site in found]).select_related("confirmed_by")
    )
    may_create = can(request.user, Permission.SITES_MANAGE)
    context = {"rows": site_rows(found, nodes), "page": found, "may_create": may_create}
    return render_page(request, "sites/list.html", context)


@page("GET", "POST")
def new(request: PageRequest) -> HttpResponse:
    """Create a site."""
    check(request.user, Permission.SITES_MANAGE)
    form = SiteForm(request.POST or None)
    made = save(form, lambda data: create_site(**data, by=request.user)) if request.method == "POST" else None
    if made:
        messages.success(
            request,
            _("{made_name} is created. Next: give somebody the role of its site admin.").format(made_name=made.name),
        )
        return redirect("web:site", made.pk)
    return render_form(
        request,
        form,
        heading=_("New site"),
        lead=_("A hospital or clinic that can be invited to studies."),
        action=_("Create the site"),
        crumbs=[(_("Sites and nodes"), reverse("web:sites"))],
    )


def find_site(request: PageRequest, site_id: UUID) -> Site:
    """The site, if this person may see it; NotFound otherwise."""
    found = visible_sites(request.user).filter(pk=site_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such site, or it is not yours to see.")
    return found


def find_node(request: PageRequest, node_id: UUID) -> Node:
    """The node, if this person may see it; NotFound otherwise."""
    found = registry.visible_to(request.user).select_related("site").filter(pk=node_id).first()
    if found is None:
        raise NotFound("E_NOT_FOUND", "There is no such node, or it is not yours to see.")
    return found


@page()
def site(request: PageRequest, site_id: UUID) -> HttpResponse:
    """A site's nodes; for htmx only the nodes."""
    found = find_site(request, site_id)
    if request.htmx:
        return render(request, "sites/_nodes.html", _nodes_context(request, found))
    return render_page(request, "sites/site.html", _context(request, found))


def _nodes_context(request: PageRequest, found: Site) -> dict[str, Any]:
    nodes = registry.visible_to(request.user).filter(site=found).select_related("confirmed_by")
    may_enrol = can(request.user, Permission.NODE_ENROL, found)
    may_revoke = can(request.user, Permission.NODE_REVOKE, found)
    rows = node_rows(nodes, may_enrol=may_enrol, may_revoke=may_revoke)
    return {"site": found, "nodes": rows, "live_href": reverse("web:site", args=[found.pk])}


def _context(request: PageRequest, found: Site) -> dict[str, Any]:
    seen = enrolments.visible_to(request.user).filter(site=found).select_related("study")
    return {
        **_nodes_context(request, found),
        "place": ", ".join(part for part in (found.city, found.country) if part),
        "studies": site_studies(seen),
        "may_see_uses": can(request.user, Permission.SITE_RESULTS_VIEW, found),
        "node_form": NodeForm() if can(request.user, Permission.NODE_ENROL, found) else None,
        "crumbs": [(_("Sites and nodes"), reverse("web:sites"))],
    }


@page("POST")
def node_new(request: PageRequest, site_id: UUID) -> HttpResponse:
    """Expect a node; its token is in this answer and nowhere else."""
    found = find_site(request, site_id)
    check(request.user, Permission.NODE_ENROL, found)
    form = NodeForm(request.POST)
    made = save(form, lambda data: expect_node(site=found, **data, by=request.user))
    context = _context(request, found)
    if made:
        node, token = made
        context["token"] = token_row(node, token, settings.FEDSTUDY_PUBLIC_URL)
    else:
        context["node_form"] = form
    return render_page(request, "sites/site.html", context, status=201 if made else 400)


@page("POST")
def node_token(request: PageRequest, node_id: UUID) -> HttpResponse:
    """A new token for a node that is expected or frozen; it is in this answer and nowhere else."""
    node = find_node(request, node_id)
    try:
        token = renew_token(node=node, by=request.user)
    except Conflict as conflict:
        messages.error(request, said_with_code(conflict))
        return redirect("web:site", node.site_id)
    shown = {"token": token_row(node, token, settings.FEDSTUDY_PUBLIC_URL)}
    return render_page(request, "sites/site.html", {**_context(request, node.site), **shown}, status=201)


@page("POST")
def node_confirm(request: PageRequest, node_id: UUID) -> HttpResponse:
    """Confirm a node by the six words that its console shows."""
    node, words = find_node(request, node_id), " ".join(request.POST.get("words", "").lower().split())
    back = reverse("web:site", args=[node.site_id])
    done = _("“{node_name}” is confirmed and active.").format(node_name=node.name)
    return act(request, back, done, lambda: confirm_node(node=node, words=words, by=request.user))


@page("POST")
def node_revoke(request: PageRequest, node_id: UUID) -> HttpResponse:
    """Trust a node no more."""
    node, reason = find_node(request, node_id), request.POST.get("reason", "").strip()[:300]
    back = reverse("web:site", args=[node.site_id])
    done = _("“{node_name}” is revoked.").format(node_name=node.name)
    return act(request, back, done, lambda: revoke_node(node=node, reason=reason, by=request.user))
