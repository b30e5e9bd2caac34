"""The node's page in a real browser: axe finds nothing serious in both themes, no errors, and it fits a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.agent.page.conftest import VERSION, Meet, Visitor
from tests.browsers import barriers, chromium, complaints_of, excess, needs_chromium, photograph
from tests.factories.passkeys import ORIGIN

pytestmark = [pytest.mark.browser, pytest.mark.slow, needs_chromium]
STRANGER = {"sign-in": "/sign-in", "register": "/register"}
PERSON = {
    "inbox": "/",
    "review": f"/review/{VERSION}",
    "approvals": "/approvals",
    "policies": "/policies",
    "datasets": "/datasets",
    "work": "/work",
    "left": "/left",
    "journal": "/journal",
    "people": "/people",
    "about": "/about",
    "error": "/nowhere",
}


def as_served(visitor: Visitor, places: dict[str, str]) -> dict[str, httpx.Response]:
    """The pages, fetched beforehand: while the browser works, this thread has a loop of its own."""
    assets = {path: visitor.get(path) for path in ("/static/page.css", "/static/page.js", "/static/mark.svg")}
    return {path: visitor.get(path) for path in places.values()} | assets


def answering(pages: dict[str, httpx.Response]) -> Callable[[Any], None]:
    """Answer the browser from what was fetched."""

    def answer(route: Any) -> None:
        found = pages[route.request.url.removeprefix(ORIGIN)]
        # a page that looks again every second would be gone before axe is done
        headers = {name: value for name, value in found.headers.items() if name not in ("content-length", "refresh")}
        route.fulfill(status=200, headers=headers, body=found.content)

    return answer


def test_the_page_is_open_to_everybody_in_both_themes(meet: Meet) -> None:
    stranger, person = meet(), meet("Ada Lovelace")
    signed = person.write()
    approval = person.sign(signed).json()["go"]
    mine = {**PERSON, "sign": person.write("rejected"), "approval": approval}
    visits = [(STRANGER, as_served(stranger, STRANGER)), (mine, as_served(person, mine))]
    wrong = []
    with chromium() as browser:
        for places, served in visits:
            page = browser.new_context().new_page()
            complaints = complaints_of(page)
            page.route(f"{ORIGIN}/**", answering(served))
            for name, place in places.items():
                page.goto(ORIGIN + place)
                wrong += [f"{name}: {words}" for words in [*barriers(page), *excess(page), *complaints]]
                complaints.clear()
                photograph(page, f"node-{name}")
    assert not wrong, "\n".join(wrong)
