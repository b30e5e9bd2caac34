"""The page of an event checks its proof in the reader's browser, and says so when anything of it is altered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse

from audit.models import Event
from audit.proofs import latest_checkpoint
from tests.audit.logs import sequence, write_events
from tests.audit.witnesses import cosignature_of
from tests.browsers import chromium, complaints_of, needs_chromium, photograph
from tests.security.access import scene

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True), needs_chromium]
Json = dict[str, Any]


def flipped(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


ALTERED: dict[str, Callable[[Json], Json]] = {
    "leaf": lambda proof: {**proof, "leaf": proof["leaf"].replace('"done"', '"fine"')},
    "event": lambda proof: {**proof, "event": "another"},
    "texts": lambda proof: {**proof, "names": {**proof["names"], "text": proof["names"]["text"] + " "}},
    "context": lambda proof: {**proof, "context": {**proof["context"], "text": proof["context"]["text"] + " "}},
    "no context": lambda proof: {**proof, "context": None},
    "path": lambda proof: {**proof, "hashes": [flipped(proof["hashes"][0], 5), *proof["hashes"][1:]]},
    "shorter": lambda proof: {**proof, "hashes": proof["hashes"][:-1]},
    "position": lambda proof: {**proof, "position": proof["position"] ^ 1},
    "size": lambda proof: {**proof, "checkpoint": proof["checkpoint"].replace("\n", "\n1", 1)},
    "key": lambda proof: {**proof, "key": proof["witnesses"][0]},
    "witness": lambda proof: {**proof, "checkpoint": proof["checkpoint"].rsplit("— ", 1)[0]},
}


def test_the_reader_s_browser_finds_what_was_altered(live_server: Any, transactional_db: None) -> None:
    people = scene.build()
    place = people.own
    write_events(5, number_of="letters: ü “x”")
    sequence()
    body = cosignature_of(place.node.pk, latest_checkpoint())
    assert place.keys.send(place.node.pk, "POST", "log/cosignatures", body).status_code == 204
    found = Event.objects.filter(study=str(place.study.pk)).earliest("pk")
    address = live_server.url + reverse("web:event", args=[found.event_id])
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": people.session("U"), "url": live_server.url}
    with chromium() as browser:
        context = browser.new_context()
        context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        complaints = complaints_of(page)
        page.goto(address)
        card = page.locator("[data-proof]")

        def verdict(proof: str) -> str:
            card.evaluate("(card, proof) => { card.dataset.proof = proof; delete card.dataset.verdict; }", proof)
            page.get_by_role("button", name="Verify in my browser").click()
            page.wait_for_function("() => document.querySelector('[data-proof]').dataset.verdict")
            return str(card.get_attribute("data-verdict"))

        whole = str(card.get_attribute("data-proof"))
        assert verdict(whole) == "whole"
        assert page.locator("[data-state=holds]").count() == 5
        said = {name: verdict(json.dumps(alter(json.loads(whole)))) for name, alter in ALTERED.items()}
        assert said == dict.fromkeys(ALTERED, "broken")
        photograph(page, "event")
        for name, args in (("witnesses", []), ("study-timeline", [place.study.pk])):
            page.goto(live_server.url + reverse(f"web:{name}", args=args))
            photograph(page, name)
        assert complaints == []
