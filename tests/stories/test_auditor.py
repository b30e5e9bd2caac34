"""An auditor's walk: `docs/guide/auditor.md` goes from a study to the signature behind a number."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from devstack.demo.cast import STUDY
from tests.browsers import needs_chromium
from tests.stage import Stage
from tests.stories.walking import walking

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.slow, needs_chromium]


def test_an_auditors_look(stage: Stage, tmp_path: Path) -> None:
    export = tmp_path / "fedstudy-log.zip"
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
        with walk.step("Verify a round in your browser"):
            walk.go(f"/studies/{stage.prepared.study}/events?kind=runs:round:committed&object={run['id']}")
            page.get_by_role("table").get_by_role("link").first.click()
            walk.until(lambda: page.get_by_role("button", name="Verify in my browser"))
            walk.press("Verify in my browser")
            page.get_by_text("Your browser computed it").wait_for()
            page.get_by_role("heading", name="Proof", level=2).scroll_into_view_if_needed()
        with walk.step("Verify without the portal"):
            size = stage.investigator.get("audit/log")["size"]
            stage.wait_until(lambda: bool(stage.investigator.get("audit/witnesses")["witnessed"] >= size))
            walk.go(f"/studies/{stage.prepared.study}/events")
            with page.expect_download() as download:
                page.get_by_role("link", name="proofs").click()
            download.value.save_as(export)
    assert_verifies(export, sites=len(stage.cast.hospitals))
    assert_refused(export, tmp_path / "altered")


def assert_verifies(export: Path, *, sites: int) -> None:
    """The export holds with all that the sites' real nodes signed, and nothing of it could not be checked."""
    code, told = verified(export, "--strict")
    assert (code, told["ok"], told["problems"]) == (0, True, []), told
    assert told["checks"] == {"approvals": "ok", "receipts": "ok", "executions": "ok"}
    assert told["checked"]["approvals"] >= sites
    assert told["checked"]["executions"] >= 2 * sites


def assert_refused(export: Path, folder: Path) -> None:
    """A copy with one word of one round altered is refused by that row, one without a receipt by that receipt's."""
    zipfile.ZipFile(export).extractall(folder)
    log, documents = folder / "log.jsonl", folder / "envelopes.jsonl"
    rows, receipts = (file.read_bytes().splitlines(keepends=True) for file in (log, documents))
    at = next(number for number, row in enumerate(rows) if b'"runs:round:committed"' in row)
    log.write_bytes(b"".join([*rows[:at], rows[at].replace(b"done", b"gone", 1), *rows[at + 1 :]]))
    code, told = verified(folder)
    assert (code, told["ok"], told["first_bad_row"]["line"]) == (1, False, at + 1), told
    log.write_bytes(b"".join(rows))
    at = next(number for number, row in enumerate(receipts) if b'"name":"receipt:' in row)
    documents.write_bytes(b"".join(receipts[:at] + receipts[at + 1 :]))
    code, told = verified(folder)
    assert (code, told["ok"]) == (1, False)
    assert (told["first_bad_row"]["file"], told["first_bad_row"]["line"]) == ("envelopes.jsonl", at + 1), told


def verified(export: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """What `fedstudy-verify` says, and its exit code."""
    command = [sys.executable, "-m", "fedstudy_verify", str(export), "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)
