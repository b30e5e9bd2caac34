"""An auditor's walk: `docs/guide/auditor.md` goes from a study to the signature behind a number."""

from __future__ import annotations

import pytest

from devstack.demo.cast import STUDY
from tests.browsers import needs_chromium
from tests.stage import Stage
from tests.stories.walking import walking

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.slow, needs_chromium]


def test_an_auditors_look(stage: Stage) -> None:
    run = stage.wait_for_end(stage.start_run(label="Audited run", rounds=2))
    assert run["state"] == "completed", run["reason"]
    with walking("auditor", stage.stack.portal_url) as walk:
        page = walk.page
        with walk.step("Sign in"):
            walk.sign_in(stage.cast.auditor)
        with walk.step("Open the study"):
            page.get_by_role("link", name=STUDY["title"]).first.click()
            page.get_by_role("heading", name=STUDY["title"], level=1).wait_for()
            assert page.get_by_role("button", name="Activate").count() == 0
            assert page.get_by_role("link", name="New run").count() == 0
        with walk.step("See what each site signed"):
            page.locator("#scripts").get_by_role("link", name="heart-disease").first.click()
            approvals = page.locator("#approvals")
            approvals.scroll_into_view_if_needed()
            assert approvals.get_by_text("Approved", exact=True).count() == len(stage.cast.hospitals)
        with walk.step("Read the code that they signed"):
            walk.press("Source")
            page.get_by_text("client_app.py").first.wait_for()
        with walk.step("Follow a run round by round"):
            walk.go(f"/runs/{run['id']}")
            page.get_by_role("heading", name="Rounds", level=2).scroll_into_view_if_needed()
        with walk.step("Search the log"):
            walk.go("/events")
            page.get_by_label("Words").fill("Audited run")
            walk.press("Filter")
            page.get_by_text("runs:run:completed").first.wait_for()
            assert page.get_by_text("lifecycle:study:created").count() == 0
        with walk.step("Open an entry"):
            entry = page.locator("tr", has_text="runs:run:completed").first
            entry.locator("summary").click()
            entry.scroll_into_view_if_needed()
        with walk.step("Take the entries away"):
            with page.expect_download() as download:
                page.get_by_role("link", name="CSV").click()
            assert download.value.suggested_filename.endswith(".csv")
