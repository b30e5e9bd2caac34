"""A site admin signs at the hospital's own node, in a real browser with a passkey; the portal can only lead there."""

import hashlib
import json
import time
import warnings
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from devstack.demo import people
from devstack.demo.cast import Hospital
from devstack.nodes import NodeHome
from fedstudy_core.dsse import unverified_payload
from tests.browsers import chromium, give_passkey_device, needs_chromium
from tests.stage import PATIENCE_S, Stage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.slow,
    needs_chromium,
]


@dataclass
class Desk:
    """A site admin's browser with a passkey device, the node's own page, and a script that waits for a signature."""

    stage: Stage
    page: Page
    hospital: Hospital
    node: NodeHome
    address: str
    version: str
    asked: list[str] = field(default_factory=list)

    @property
    def portal(self) -> str:
        return self.stage.stack.portal_url

    def until(self, seen: Callable[[], Any]) -> None:
        """Load the page again until something is seen on it."""
        deadline = time.monotonic() + PATIENCE_S
        while not seen():
            assert time.monotonic() < deadline, self.page.content()
            self.page.wait_for_timeout(200)
            self.page.reload()

    def open_version(self) -> None:
        """Open the script version at the portal; the node has told it by then where its page is."""
        self.page.goto(f"{self.portal}/scripts/{self.version}")
        self.until(self.link.count)

    @property
    def link(self) -> Any:
        return self.page.get_by_role("link", name="Review and sign at the node")

    def approvals(self) -> list[dict[str, Any]]:
        """The node's own statements on the version."""
        files = [json.loads(file.read_bytes()) for file in (self.node.home / "approvals").glob("*.json")]
        return [raw for raw in files if raw["version"] == self.version]


@pytest.fixture(scope="module")
def desk(stage: Stage) -> Iterator[Desk]:
    """The browser of Cleveland's admin, signed in at the portal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Flower's builder uses a name that pathspec retires
        version = people.submit_second_script(stage.investigator, stage.prepared.study)
    hospital = stage.cast.hospitals[0]
    node = stage.stack.node(hospital.node)
    with chromium() as browser:
        page = browser.new_context().new_page()
        page.set_default_timeout(20_000)
        give_passkey_device(page)
        made = Desk(stage, page, hospital, node, node.page, version)
        page.on("request", lambda request: made.asked.append(request.url))
        page.goto(f"{made.portal}/sign-in")
        page.get_by_label("E-mail").fill(hospital.admin.email)
        page.get_by_label("Password").fill(hospital.admin.password)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Studies", level=1).wait_for()
        yield made


@pytest.fixture(scope="module")
def registered(desk: Desk) -> Desk:
    """The admin has registered a passkey by the code that the hospital's console printed."""
    page = desk.page
    desk.open_version()
    desk.link.click()
    page.get_by_role("heading", name="Nobody has a passkey here yet").wait_for()
    assert page.url.startswith(f"{desk.address}/sign-in?next=")
    page.get_by_role("link", name="I have a code").click()
    page.get_by_label("One-time code").fill(desk.node.invite(desk.hospital.admin.name))
    page.get_by_role("button", name="Make a passkey").click()
    page.get_by_role("heading", name="Who may sign for this site").wait_for()
    assert desk.hospital.admin.name in page.locator("tbody").inner_text()
    page.goto(f"{desk.address}/")
    desk.until(lambda: page.get_by_role("link", name="Review heart-disease-large-batches 1").count())
    return desk


def test_a_site_signs_at_its_node_and_a_run_proceeds(registered: Desk) -> None:
    """Follow the portal's link, read the script, write the approval, sign it, go back to the portal, run it."""
    desk, page = registered, registered.page
    desk.open_version()
    desk.link.click()
    page.get_by_role("heading", name="heart-disease-large-batches 1").wait_for()
    assert page.url == f"{desk.address}/review/{desk.version}", "the session came along from the portal"
    desk.asked.clear()
    changes = page.get_by_label("Changes in pyproject.toml").inner_text()
    assert "-batch-size = 4" in changes
    assert "+batch-size = 16" in changes
    page.get_by_label("Fewest sites in a run").fill("1")
    page.get_by_label("Weakest sandbox").select_option(min(desk.node.command("sandbox")["level"], "S3"))
    page.get_by_role("button", name="Write the approval").click()
    page.get_by_role("heading", name="Your signature").wait_for()
    shown = page.locator("#signed-text").inner_text()
    assert hashlib.sha256(shown.encode()).hexdigest() == page.url.rpartition("/")[2]
    page.get_by_role("button", name="Sign with your passkey").click()
    page.get_by_role("heading", name="Signatures").wait_for()
    assert {urlsplit(url).netloc for url in desk.asked} == {urlsplit(desk.address).netloc}, "nothing from the portal"

    signed = desk.approvals()
    assert [raw["decision"] for raw in signed] == ["approved"]
    assert unverified_payload(b64decode(signed[0]["envelope"])) == shown.encode(), "what was shown is what was signed"

    desk.until(lambda: page.get_by_role("link", name="Back to the version in the portal").count())
    page.get_by_role("link", name="Back to the version in the portal").click()
    row = page.locator("#approvals tbody tr").filter(has_text=desk.hospital.centre)
    row.wait_for()
    assert desk.hospital.admin.name in row.inner_text()
    assert "approved" in row.inner_text().lower()

    enrolment = desk.stage.prepared.enrolments[desk.hospital.centre]
    plan = {"version": desk.version, "sites": [enrolment], "quorum": 1, "rounds": 2, "label": "Signed by a passkey"}
    ended = desk.stage.wait_for_end(desk.stage.start_run(**plan))
    assert (ended["state"], ended["committed"]) == ("completed", 2), (ended["reason"], desk.stage.rounds(ended["id"]))


def at_portal(desk: Desk, path: str, content: str) -> Page:
    """A page of the portal's origin in an attacker's hands: no policy of the portal holds it back."""
    page = desk.page
    page.route(f"{desk.portal}{path}", lambda route: route.fulfill(body=content, content_type="text/html"))
    page.goto(f"{desk.portal}{path}")
    return page


def credential(desk: Desk) -> str:
    """The passkey's name, which is no secret."""
    trust = json.loads((desk.node.home / "trust.json").read_bytes())
    return str(next(entry["credential"] for entry in trust["approvers"] if entry["kind"] == "passkey"))


def test_the_portal_cannot_ask_for_the_nodes_passkey(registered: Desk) -> None:
    page = at_portal(registered, "/evil-passkey", "<p>Sign this, please</p>")
    name = page.evaluate(
        """async (credential) => {
            const plain = atob(credential.replaceAll("-", "+").replaceAll("_", "/"));
            const id = Uint8Array.from(plain, (sign) => sign.charCodeAt(0));
            try {
                await navigator.credentials.get({publicKey: {
                    challenge: new Uint8Array(32), rpId: "localhost", userVerification: "required",
                    allowCredentials: [{type: "public-key", id}],
                }});
                return "signed";
            } catch (error) {
                return error.name;
            }
        }""",
        credential(registered),
    )
    assert name == "SecurityError"


def test_the_nodes_page_is_shown_in_no_frame(registered: Desk) -> None:
    page = at_portal(registered, "/evil-frame", f'<iframe src="{registered.address}/"></iframe>')
    deadline = time.monotonic() + PATIENCE_S
    while page.frames[1].url in ("", "about:blank") and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert page.frames[1].url.startswith("chrome-error:"), "the browser refused to show it"
    assert page.frames[1].get_by_text("hospital").count() == 0


def test_a_form_of_the_portal_changes_nothing_at_the_node(registered: Desk) -> None:
    form = f'<form method="post" action="{registered.address}/work/pause"><button>Go</button></form>'
    page = at_portal(registered, "/evil-form", form)
    with page.expect_response(f"{registered.address}/work/pause") as answer:
        page.get_by_role("button", name="Go").click()
    assert answer.value.status == 403
    assert not (Path(registered.node.home) / "control.json").exists()
