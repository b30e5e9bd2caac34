"""The runs that used a site's data, for the site's people."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _

from federation.runs.uses import note_uses_taken, uses_by_dataset, uses_of
from portal.web.downloads import csv_stream
from portal.web.lists import page_of
from portal.web.pages import PageRequest, page, render_page
from portal.web.presenters.uses import COLUMNS, use_record, use_rows
from portal.web.views.sites import find_site

AT_ONCE = 2_000


@page()
def uses(request: PageRequest, site_id: UUID) -> HttpResponseBase:
    """Every exchange of runs with the site, round by round; of one dataset or run only where the address says so."""
    site = find_site(request, site_id)
    every = uses_of(site, by=request.user)
    dataset, run = _id(request, "dataset"), _id(request, "run")
    narrowed = {"approval__dataset": dataset, "round__run": run}
    found = every.filter(**{name: value for name, value in narrowed.items() if value})
    if request.GET.get("form") == "csv":
        note_uses_taken(site=site, entries=found.count(), by=request.user)
        rows = (use_record(item) for item in found.order_by("pk").iterator(chunk_size=AT_ONCE))
        return csv_stream(request, "uses.csv", rows, COLUMNS)
    shown = page_of(request, found, "-pk")
    context = {
        "site": site,
        "datasets": list(uses_by_dataset(every)),
        "rows": use_rows(shown),
        "page": shown,
        "dataset": dataset,
        "run": run,
        "crumbs": [(_("Sites and nodes"), reverse("web:sites")), (site.name, reverse("web:site", args=[site.pk]))],
    }
    return render_page(request, "sites/uses.html", context)


def _id(request: PageRequest, name: str) -> UUID | None:
    text = request.GET.get(name, "")
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Http404 from None
