"""The state of the log's witnesses."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from audit import proofs
from nodes.registry.models import Node
from nodes.registry.witnesses import quorum, standings
from portal.web.lists import page_of
from portal.web.pages import PageRequest, page, render_page
from portal.web.presenters.witnesses import witness_rows
from studies.enrolment.selectors import sites_seen_by


@page()
def witnesses(request: PageRequest) -> HttpResponse:
    """How far the log is witnessed, and by which nodes of the sites that the person sees."""
    nodes = Node.objects.filter(state="active", site__in=sites_seen_by(request.user)).select_related("site")
    found = page_of(request, nodes, "name", "id")
    context = {
        "rows": witness_rows(standings(found)),
        "page": found,
        "quorum": quorum(),
        "size": proofs.size_signed(),
        "log_key": proofs.log_key(),
        "succession": proofs.succession(),
        "crumbs": [(_("Log"), reverse("web:events"))],
    }
    return render_page(request, "events/witnesses.html", context)
