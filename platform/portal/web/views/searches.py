"""Finding things by words."""

from __future__ import annotations

from itertools import groupby

from django.http import HttpResponse
from django.urls import reverse

from portal.search import FOUND, LONGEST, Hit, search
from portal.web.pages import PageRequest, page, render_page

TITLES = {
    "study": ("Studies", "study", "web:study"),
    "site": ("Sites", "hospital", "web:site"),
    "script": ("Script versions", "file", "web:version"),
    "run": ("Runs", "chart", "web:run"),
    "person": ("People", "people", "web:platform-person"),
}


@page()
def results(request: PageRequest) -> HttpResponse:
    """What the words of `q` find, by kind."""
    text = request.GET.get("q", "").replace("\x00", "").strip()[:LONGEST]
    hits = search(request.user, text)
    groups = [_group(kind, list(found)) for kind, found in groupby(hits, key=lambda hit: hit.kind)]
    return render_page(request, "search/results.html", {"text": text, "groups": groups, "most": FOUND})


def _group(kind: str, hits: list[Hit]) -> dict[str, object]:
    title, icon, name = TITLES[kind]
    rows = [{"title": hit.title, "detail": hit.detail, "href": reverse(name, args=[hit.id])} for hit in hits]
    return {"title": title, "icon": icon, "rows": rows, "is_full": len(rows) == FOUND}
