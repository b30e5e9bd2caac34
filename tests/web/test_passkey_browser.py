"""A passkey in a real browser: set up on the way in, used alone, after the password, and for what asks again."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests import browsers
from tests.api import world as worlds
from tests.browsers import barriers, excess, needs_chromium, photograph
from tests.web.test_browser import beside

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), needs_chromium]
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def say_password(page: Page, address: str, email: str) -> None:
    page.context.clear_cookies()
    page.goto(f"{address}/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(worlds.PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def forget() -> None:
    """Let every session have been verified long ago."""
    from accounts.models import Session
    from accounts.sessions import VERIFIED, SessionStore

    for key in Session.objects.values_list("pk", flat=True):
        store = SessionStore(key)
        store[VERIFIED] = 0
        store.save()


def test_a_passkey_all_the_way(live_server: Any, transactional_db: None, settings: Any) -> None:
    settings.FEDSTUDY_FACTORS_REQUIRED = True
    world = worlds.build()
    wrong: list[str] = []
    with browsers.chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(20_000)
        device = page.context.new_cdp_session(page)
        device.send("WebAuthn.enable")
        device.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
        complaints = browsers.complaints_of(page)

        def arrive(heading: str) -> None:
            page.get_by_role("heading", name=heading, level=1).wait_for()
            wrong.extend(f"{heading}: {words}" for words in [*barriers(page), *excess(page)])
            photograph(page, heading.lower().replace(" ", "-").strip("?"))

        say_password(page, live_server.url, world.pi.email)
        arrive("Set up a second factor")
        page.get_by_role("button", name="Make a passkey").click()
        arrive("You are in")
        page.get_by_role("link", name="I have kept them").click()
        arrive("Studies")
        say_password(page, live_server.url, world.pi.email)
        arrive("Is it you?")
        page.get_by_role("button", name="Use your passkey").click()
        arrive("Studies")
        page.context.clear_cookies()
        page.goto(f"{live_server.url}/sign-in")
        page.get_by_role("button", name="Use a passkey").click()
        arrive("Studies")
        beside(forget)
        complaints.clear()
        page.goto(f"{live_server.url}/account/tokens")
        page.get_by_label("Name").fill("Notebook")
        page.get_by_label("Read studies").check()
        page.get_by_role("button", name="Make the token").click()
        arrive("Is it still you?")
        page.get_by_role("button", name="Use your passkey").click()
        page.get_by_role("heading", name="The token is shown once").wait_for()
    assert wrong == []
    assert [words for words in complaints if "403" not in words] == []  # the question is no success
