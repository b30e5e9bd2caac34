"""Every page, as each person who sees it, in both themes: axe finds nothing serious, the console no errors,
and none is wider than a phone.

The pages are those of the table of access, so that a new one is looked at too.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.urls import reverse

from audit.services import record
from federation.runs.models import Run
from tests.browsers import barriers, chromium, complaints_of, excess, needs_chromium, photograph
from tests.security.access import pages, scene
from tests.security.access.row import KINDS, Row
from tests.security.access.scene import PEOPLE, Scene
from tests.web.markup import SELF_CLOSING, VOID
from tests.web.rounds import commit_round, set_to_work

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True), needs_chromium]
COMPARED = ("class", "type", "role", "scope")


class Form(HTMLParser):
    """What axe looks at in a page: kinds of elements within each other, with their attributes, and whether they have
    words; not which words, and not how often."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self.kinds: set[str] = set()
        self.feed(html.partition("<main")[2].partition("</main>")[0])
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        kind = f"{tag} {sorted(given)} {[given.get(name) for name in COMPARED]}"
        self.kinds.add(f"{kind} in {self._open[-1:]}")
        if tag not in VOID | SELF_CLOSING:
            self._open.append(kind)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID | SELF_CLOSING and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.kinds.add(f"words in {self._open[-1:]}")


FILES = {
    "web:live",
    "web:bell",
    "web:run-model",
    "web:run-export",
    "web:run-dossier",
    "web:protocol-file",
    "web:dictionary-file",
    "web:release-model",
    "web:passkey-options",
    "healthz",
}


@pytest.fixture
def people(transactional_db: None) -> Scene:
    """Their study's run is at work, the site waits for a second node, and the log has a sentence with a hash."""
    built = scene.build()
    run = set_to_work(built.own)
    for number in (1, 2):
        commit_round(run, number)
    built.own.run = Run.objects.get(pk=run.pk)
    with transaction.atomic():
        facts = {"files": 32, "contents": "0" * 64}
        record(action="runs:dossier:exported", actor="system:engine", obj=run, study=run.study, detail=facts)
    return built


def is_page(row: Row) -> bool:
    return (
        row.method == "get"
        and row.ok == 200
        and row.every in (None, 200)
        and row.name not in FILES
        and "form=" not in row.query(None)  # type: ignore[arg-type]
    )


def seen_by(people: Scene, who: str) -> dict[str, str]:
    """The addresses of the pages that somebody sees, by name."""
    found = {}
    for row in pages.ROWS:
        if is_page(row) and row.expected("own", who) == 200:
            place = people.place("own")
            obj = (row.make or KINDS[row.kind].find)(place)
            found[row.name] = reverse(row.name, args=() if obj is None else (obj.pk, *row.rest(place)))
    return found


def cookie(people: Scene, who: str, url: str) -> list[Any]:
    """Somebody's session as a browser keeps it; nobody's for those who have not signed in."""
    if who == "-":
        return []
    value = people.session(who)
    return [{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": url}]


def visits(people: Scene) -> Iterator[tuple[str, list[tuple[str, str, bool]]]]:
    """Who looks at which pages, by name and address, and whether it is the page's first visitor. Where a page looks as
    somebody else saw one, it is not looked at again."""
    known: set[frozenset[str]] = set()
    seen: set[str] = set()
    for who in PEOPLE:
        chosen = []
        for name, place in seen_by(people, who).items() if who != "N" else ():
            form = frozenset(Form(people.page(who, "get", place, None).content.decode()).kinds)
            if name not in seen or form not in known:
                chosen.append((name, place, name not in seen))
            known.add(form)
            seen.add(name)
        yield who, chosen
    assert seen == {row.name for row in pages.ROWS if is_page(row)}


def test_every_page_is_open_to_everybody_in_both_themes(live_server: Any, people: Scene) -> None:
    asked = [(who, cookie(people, who, live_server.url), chosen) for who, chosen in visits(people) if chosen]
    wrong = []
    with chromium() as browser:
        for who, cookies, chosen in asked:
            context = browser.new_context()
            context.add_cookies(cookies)
            page = context.new_page()
            complaints = complaints_of(page)
            for name, place, first in chosen:
                page.goto(live_server.url + place)
                found = [*barriers(page, in_both_themes=first), *excess(page), *complaints]
                wrong += [f"{name} as {PEOPLE[who]}: {words}" for words in found]
                complaints.clear()
                photograph(page, f"{name.removeprefix('web:')}-{PEOPLE[who]}")
            context.close()
    assert not wrong, "\n".join(wrong)
