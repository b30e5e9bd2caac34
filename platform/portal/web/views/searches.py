"""Finding things by words."""

from __future__ import annotations

from itertools import groupby

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from portal.search import FOUND, LONGEST, Hit, search
from portal.web.pages import PageRequest, page, render_page
from portal.web.presenters.status import status_of

TITLES = {
    "study": (gettext_noop("Studies"), "study", "web:study"),
    "site": (gettext_noop("Sites"), "hospital", "web:site"),
    "script": (gettext_noop("Script versions"), "file", "web:version"),
    "run": (gettext_noop("Runs"), "chart", "web:run"),
    "person": (gettext_noop("People"), "people", "web:platform-person"),
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
    rows = [
        {
            "title": hit.title,
            "detail": status_of(kind, hit.detail).label.lower() if kind == "study" else hit.detail,
            "href": reverse(name, args=[hit.id]),
        }
        for hit in hits
    ]
    return {"title": _(title), "icon": icon, "rows": rows, "is_full": len(rows) == FOUND}
