"""A site admin's walk: `docs/guide/site.md` goes from an invitation to a signature, a run, and a pause."""

from __future__ import annotations

import json

import pytest

from devstack.demo import people
from devstack.demo.cast import Hospital
from tests.browsers import give_passkey_device, needs_chromium
from tests.stage import Stage
from tests.stories.walking import Walk, walking

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.slow, needs_chromium]
STUDY = {
    "title": "Chest pain at one hospital",
    "summary": "One hospital trains on its own rows.",
    "aims": "A first look.",
}


def open_study(stage: Stage, hospital: Hospital) -> tuple[str, str]:
    """The PI's part before: a study with a script, to which the hospital is invited; ids of study and version."""
    pi = stage.investigator
    study = str(pi.post("studies", STUDY)["id"])
    pi.post(f"studies/{study}/dictionary", json.loads(people.DICTIONARY.read_text("utf-8")))
    pi.post(f"studies/{study}/transition", {"to": "recruiting"})
    site = stage.prepared.sites[hospital.centre]
    pi.post(f"studies/{study}/enrolments", {"site": site, "level": "F2"})
    return study, people.submit_library_script(pi, study)


def test_a_site_takes_part(stage: Stage) -> None:
    hospital = stage.cast.hospitals[1]
    study, version = open_study(stage, hospital)
    with walking("site", stage.stack.portal_url) as walk:
        give_passkey_device(walk.page)
        join(walk, stage, hospital)
        bind(walk, stage, hospital, study)
        sign(walk, stage, hospital, version)
        stage.investigator.post(f"studies/{study}/transition", {"to": "active"})
        watch(walk, stage, hospital, study, version)


def join(walk: Walk, stage: Stage, hospital: Hospital) -> None:
    page = walk.page
    with walk.step("Sign in"):
        walk.sign_in(hospital.admin)
        page.get_by_text(STUDY["title"]).first.wait_for()
    with walk.step("Look at your node"):
        walk.press("Sites and nodes")
        page.get_by_role("link", name=hospital.centre).first.click()
        page.get_by_role("heading", name=hospital.node).wait_for()
    with walk.step("Answer the invitation"):
        page.get_by_role("link", name=STUDY["title"]).click()
        page.get_by_role("button", name="Accept").click()
        page.get_by_text("takes part. Next:").wait_for()


def bind(walk: Walk, stage: Stage, hospital: Hospital, study: str) -> None:
    page = walk.page
    with walk.step("Offer your rows"):
        people.offer_dataset(stage.stack, hospital, study, stage.rows[hospital.centre])
        walk.until(lambda: page.get_by_role("heading", name="Dataset"))
        page.get_by_role("heading", name="Dataset").scroll_into_view_if_needed()


def sign(walk: Walk, stage: Stage, hospital: Hospital, version: str) -> None:
    page, node = walk.page, stage.stack.node(hospital.node)
    with walk.step("Review the script"):
        walk.go(f"/scripts/{version}/review")
        page.locator("#checklist").scroll_into_view_if_needed()
    with walk.step("Register your passkey at the node"):
        page.goto(f"{node.page}/register")
        page.get_by_label("One-time code").fill(node.invite(hospital.admin.name))
        page.get_by_role("button", name="Make a passkey").click()
        page.get_by_role("heading", name="Who may sign for this site").wait_for()
    with walk.step("Set your limits"):
        page.goto(f"{node.page}/review/{version}")
        page.get_by_label("Fewest sites in a run").fill("1")
        page.get_by_label("Weakest sandbox").select_option(min(node.sandbox, "S3"))
    with walk.step("Sign"):
        page.get_by_role("button", name="Write the approval").click()
        page.get_by_role("heading", name="Your signature").wait_for()
        page.get_by_role("button", name="Sign with your passkey").click()
        # until then the page asks by itself every second, and would end another way to go
        page.get_by_text("The portal has it.").wait_for()
    walk.go(f"/scripts/{version}")
    walk.until(lambda: page.locator("#approvals").get_by_text("Approved", exact=True))


def watch(walk: Walk, stage: Stage, hospital: Hospital, study: str, version: str) -> None:
    page, node = walk.page, stage.stack.node(hospital.node)
    with walk.step("See what your rows are used for"):
        plan = {"version": version, "strategy": "fedavg", "rounds": 2, "quorum": 1, "label": "First look"}
        run = stage.investigator.post(f"studies/{study}/runs", plan)["id"]
        stage.investigator.post(f"runs/{run}/start")
        ended = stage.wait_for_end(run)
        assert ended["state"] == "completed", ended["reason"]
        walk.go("/events")
        page.get_by_text("First look").first.wait_for()
    with walk.step("Pause your node"):
        page.goto(f"{node.page}/work")
        page.get_by_role("button", name="Pause, and end what runs").click()
        page.get_by_role("button", name="Take work again").wait_for()
    walk.press("Take work again")
    page.get_by_role("button", name="Pause, and end what runs").wait_for()
