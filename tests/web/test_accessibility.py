"""Every page, as each person who sees it, in both themes: axe finds nothing serious, the console no errors,
and none is wider than a phone.

The pages are those of the table of access, so that a new one is looked at too.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse

from federation.runs.models import Run
from tests.browsers import barriers, chromium, complaints_of, excess, needs_chromium, photograph
from tests.security.access import pages, scene
from tests.security.access.row import KINDS, Row
from tests.security.access.scene import PEOPLE, Scene
from tests.web.rounds import commit_round, set_to_work

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True), needs_chromium]
# What axe looks at: kinds of elements, their attributes, whether they have words; not which words, and not how often.
FORM = """() => {
  const compared = ["class", "type", "role", "scope"];
  const hasWords = (node) => node.nodeType === Node.TEXT_NODE && Boolean(node.data.trim());
  const kind = (element) => [
    element.tagName,
    ...element.getAttributeNames(),
    ...compared.map((name) => element.getAttribute(name)),
    [...element.childNodes].some(hasWords),
  ].join();
  const inside = [...document.querySelectorAll("main *")];
  return [...new Set(inside.map((element) => `${kind(element)} in ${kind(element.parentElement)}`))].sort().join("\\n");
}"""
FILES = {
    "web:live",
    "web:bell",
    "web:run-model",
    "web:run-export",
    "web:protocol-file",
    "web:dictionary-file",
    "web:release-model",
    "web:passkey-options",
    "healthz",
}


@pytest.fixture
def people(transactional_db: None) -> Scene:
    """Their study's run is at work, and the site waits for a second node."""
    built = scene.build()
    run = set_to_work(built.own)
    for number in (1, 2):
        commit_round(run, number)
    built.own.run = Run.objects.get(pk=run.pk)
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


def test_every_page_is_open_to_everybody_in_both_themes(live_server: Any, people: Scene) -> None:
    asked = {who: (cookie(people, who, live_server.url), seen_by(people, who)) for who in PEOPLE if who != "N"}
    wrong, known, seen = [], set(), set()
    with chromium() as browser:
        for who, (cookies, places) in asked.items():
            context = browser.new_context()
            context.add_cookies(cookies)
            page = context.new_page()
            complaints = complaints_of(page)
            for name, place in places.items():
                page.goto(live_server.url + place)
                form = page.evaluate(FORM)
                if name not in seen or form not in known:  # what looks like what somebody else saw was looked at
                    found = [*barriers(page, in_both_themes=name not in seen), *excess(page)]
                    wrong += [f"{name} as {PEOPLE[who]}: {words}" for words in found]
                    photograph(page, f"{name.removeprefix('web:')}-{PEOPLE[who]}")
                known.add(form)
                seen.add(name)
                wrong += [f"{name} as {PEOPLE[who]}: {words}" for words in complaints]
                complaints.clear()
            context.close()
    assert not wrong, "\n".join(wrong)
    assert {name for _, places in asked.values() for name in places} == {row.name for row in pages.ROWS if is_page(row)}
