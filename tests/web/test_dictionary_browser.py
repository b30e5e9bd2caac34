"""The editor of a data dictionary in a browser. In a file of its own: the server's tests share no world."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from studies.dictionary.drafts import save_draft
from tests import browsers
from tests.api import world as worlds
from tests.api.world import VARIABLES
from tests.browsers import barriers, excess, needs_chromium, photograph
from tests.web.test_browser import signed_in
from tests.web.test_dictionaries import REDCAP, place


def unexpected(complaints: list[str]) -> list[str]:
    """What the browser says beside that a form did not fit."""
    return [words for words in complaints if "400" not in words]


@pytest.mark.browser
@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_the_editor_in_a_browser(live_server: object) -> None:
    """Variables move under the keyboard's focus, and what does not fit is said without losing what was typed."""
    world = worlds.build()
    save_draft(study=world.study, variables=[*VARIABLES, {"name": "weight", "type": "number"}], by=world.pi)
    with browsers.chromium() as chromium:
        page, complaints = signed_in(chromium, live_server.url, world.pi.email)  # type: ignore[attr-defined]
        page.goto(f"{live_server.url}{place('dictionary-draft', world)}")  # type: ignore[attr-defined]
        page.evaluate("window.stayed = true")
        page.get_by_role("button", name="Move weight up").focus()
        page.keyboard.press("Enter")
        expect(page.locator("tbody th .fs-mono")).to_have_text(["age", "weight", "stenosis"])
        expect(page.locator("#up-weight")).to_be_focused()
        page.get_by_role("link", name="Change weight").click()
        page.get_by_role("heading", name="Change “weight”").wait_for()
        page.get_by_label("Least plausible value").fill("9")
        page.get_by_label("Greatest plausible value").fill("1")
        page.get_by_role("button", name="Keep the change").click()
        expect(page.locator("#problems")).to_be_focused()
        expect(page.get_by_label("Greatest plausible value")).to_have_value("1")
        assert barriers(page) + excess(page) + unexpected(complaints) == []
        photograph(page, "dictionary-editor-problem")
        complaints.clear()
        page.get_by_label("Greatest plausible value").fill("300")
        page.get_by_role("button", name="Keep the change").click()
        expect(page.get_by_text("9 to 300")).to_be_visible()
        assert page.evaluate("window.stayed") is True, "the page was never left"
        assert unexpected(complaints) == []
        page.goto(f"{live_server.url}{place('dictionary-new', world)}")  # type: ignore[attr-defined]
        page.locator("input[type=file]").set_input_files(
            {"name": "r.csv", "mimeType": "text/csv", "buffer": REDCAP.encode()}
        )
        page.get_by_role("button", name="Read the file").click()
        page.get_by_role("heading", name="What does not come along as it stands").wait_for()
        assert barriers(page) + excess(page) == []
        photograph(page, "dictionary-reading")
