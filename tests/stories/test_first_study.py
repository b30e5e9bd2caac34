"""A stranger's walk: `docs/guide/first-study.md` leads a PI from nothing to the first federated result."""

from __future__ import annotations

import re

import pytest

from devstack.demo.hospitals import Hospitals
from devstack.demo.people import DICTIONARY, PROTOCOL
from tests.browsers import needs_chromium
from tests.stage import Stage
from tests.stories.walking import Walk, walking

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.slow, needs_chromium]
TITLE = "Chest pain clinic study"
MOST_STEPS = 15


def test_a_first_study(stage: Stage) -> None:
    told: list[str] = []
    hospitals = Hospitals(stage.stack, stage.cast, stage.prepared, stage.rows, told.append)
    with hospitals.at_their_desks(), walking("first-study", stage.stack.portal_url) as walk:
        design(walk, stage)
        recruit(walk, stage)
        submit(walk, stage)
        run(walk)
        assert len(walk.titles) <= MOST_STEPS
    assert not [words for words in told if "takes part" not in words]


def design(walk: Walk, stage: Stage) -> None:
    page = walk.page
    with walk.step("Sign in"):
        walk.sign_in(stage.cast.investigator)
    with walk.step("Describe the study"):
        walk.press("New study")
        page.get_by_label("Title").fill(TITLE)
        page.get_by_label("Summary").fill("Which patients referred for chest pain have heart disease?")
        page.get_by_label("Aims").fill(
            "One logistic regression over four hospitals, judged by its area under the curve."
        )
    with walk.step("Add the protocol"):
        walk.press("Create the study")
        page.get_by_role("heading", name=TITLE, level=1).wait_for()
        walk.press("Protocol")
        walk.press("Upload the protocol")
        page.locator("input[type=file]").set_input_files(PROTOCOL)
        walk.press("Upload")
        page.get_by_role("link", name=PROTOCOL.name).wait_for()
    with walk.step("Say what the data look like"):
        walk.press("Data dictionary")
        walk.press("Upload a dictionary")
        page.locator("input[type=file]").set_input_files(DICTIONARY)
        walk.press("Read the file")
        walk.press("Publish")
        page.get_by_role("heading", name="Version 1").wait_for()


def recruit(walk: Walk, stage: Stage) -> None:
    page = walk.page
    with walk.step("Open the study for recruiting"):
        walk.press("Overview")
        walk.press("Open recruitment")
        page.get_by_role("dialog").get_by_role("button", name="Open recruitment").click()
        page.get_by_text("Recruiting", exact=True).first.wait_for()
    with walk.step("Invite the hospitals"):
        for hospital in stage.cast.hospitals:
            page.get_by_role("link", name="Invite a site").first.click()
            page.get_by_label("Site", exact=True).select_option(label=hospital.centre)
            walk.press("Send the invitation")
            page.get_by_text(f"{hospital.centre} is invited.").wait_for()
    with walk.step("Wait until they are ready"):
        sites = page.locator("#sites")
        walk.until(lambda: sites.get_by_text("Ready", exact=True), len(stage.cast.hospitals))
        sites.scroll_into_view_if_needed()


def submit(walk: Walk, stage: Stage) -> None:
    page = walk.page
    with walk.step("Submit a script"):
        page.locator("#scripts").get_by_role("link", name="Submit a script").first.click()
        page.get_by_label("Name", exact=True).fill("heart-disease")
        page.get_by_label("From the library").select_option("heart_disease")
        walk.press("Build and submit")
        page.locator("#approvals").wait_for()
    with walk.step("Wait until they have signed it"):
        approvals = page.locator("#approvals")
        walk.until(lambda: approvals.get_by_text("Approved", exact=True), len(stage.cast.hospitals))
        approvals.scroll_into_view_if_needed()
    with walk.step("Activate the study"):
        page.get_by_role("link", name=TITLE).first.click()
        walk.press("Activate")
        page.get_by_role("dialog").get_by_role("button", name="Activate").click()
        page.get_by_text("Active", exact=True).first.wait_for()


def run(walk: Walk) -> None:
    page = walk.page
    with walk.step("Plan a run"):
        page.get_by_role("link", name="New run").first.click()
        page.get_by_label("Name of the run").fill("Federated averaging")
        page.get_by_label("Rounds", exact=True).fill("5")
    with walk.step("Watch it"):
        walk.press("Plan and start")
        page.get_by_text(re.compile(r"^\s*[1-5] of 5\s*$")).first.wait_for()
    with walk.step("Read the result"):
        page.get_by_role("heading", name="Ended").wait_for()
        page.get_by_role("heading", name="Evaluation").scroll_into_view_if_needed()
    with walk.step("Take the model home"):
        page.locator("summary", has_text="Download").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Newest model (safetensors)").click()
        assert download.value.suggested_filename.endswith(".safetensors")
