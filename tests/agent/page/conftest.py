"""A node's page and people at it, without a browser and without a portal."""

import asyncio
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from fedstudy_core import bundle as bundles
from fedstudy_core import dsse, wire
from fedstudy_core.approvers import Role
from fedstudy_core.statement import PAYLOAD_TYPE
from fedstudy_node.control import Control
from fedstudy_node.home import Home, write_private
from fedstudy_node.page.address import PageAddress
from fedstudy_node.page.app import build
from fedstudy_node.page.front import Front
from fedstudy_node.trust import Trust
from tests.factories.agent import STUDY, Node, make_node, script
from tests.factories.passkeys import ORIGIN, SoftPasskey

ADDRESS = PageAddress(host="localhost", port=8601, listen="127.0.0.1")
VERSION = "00000000-0000-0000-0000-0000000002bc"
FAB = script()


def offer(home: Home, fab: bytes = FAB, *, version: str = VERSION, number: int = 1) -> None:
    """Put a script on the node's shelf, as the clerk does."""
    found = bundles.inspect(fab)
    row = wire.ScriptOffer(
        version=version,
        study=STUDY,
        study_title="Hearts <b>of</b> four",
        script="numbers",
        number=number,
        sha256=found.sha256,
        size=found.size,
        submitted_at="2026-01-01T00:00:00Z",
        parameters=[],
        declaration={},
        approval=None,
    ).model_dump()
    file = home.path / "offers.json"
    rows = json.loads(file.read_bytes()) if file.exists() else []
    write_private(file, json.dumps([*rows, row]).encode())
    write_private(home.bundles_path / f"{found.sha256}.fab", fab)


@dataclass
class Client:
    """Requests to the page's application, one after another, with a cookie jar."""

    app: ASGIApp
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._request(method, path, options))

    async def _request(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=self.cookies) as client:
            answer = await client.request(method, path, **options)
            self.cookies = client.cookies
            return answer


@dataclass
class Visitor:
    """Somebody with a browser, and maybe a passkey."""

    front: Front
    client: Client
    passkey: SoftPasskey = field(default_factory=SoftPasskey)
    headers: dict[str, str] = field(default_factory=lambda: {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"})

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.request(
            "GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )

    def read(self, path: str) -> str:
        """A page that must be there."""
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.text

    def token(self) -> str:
        found = re.search(r'name="token" content="([^"]+)"', self.get("/register").text)
        assert found is not None
        return found[1]

    def send(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """What our own script sends."""
        token = {"X-FedStudy-Token": self.token()}
        return self.client.request("POST", path, json=body, headers={**self.headers, **token, **headers})

    def submit(self, path: str, **form: str) -> httpx.Response:
        """What a form sends."""
        data = {"token": self.token(), **form}
        return self.client.request("POST", path, data=data, headers=self.headers)

    def register(self, code: str) -> httpx.Response:
        """Type a code and make a passkey."""
        offered = self.send("/register/options", {"code": code})
        if offered.status_code != 200:
            return offered
        return self.send("/register", self.passkey.created(offered.json()["options"]))

    def challenge(self) -> str:
        return str(self.send("/sign-in/options", {}).json()["challenge"])

    def sign_in(self, **lies: Any) -> httpx.Response:
        return self.send("/sign-in", self.passkey.sign_challenge(self.challenge(), **lies))

    def shown_text(self, path: str) -> str:
        """The document that a page shows byte for byte, as a reader's browser holds it."""
        found = re.search(r'<code id="signed-text">(.*?)</code>', self.read(path), re.DOTALL)
        assert found is not None
        return unescape(found[1])

    def sign(self, path: str, *, kind: str = PAYLOAD_TYPE, **lies: Any) -> httpx.Response:
        """Sign what a page shows."""
        to_sign = dsse.pre_authentication(kind, self.shown_text(path).encode())
        return self.send(path, self.passkey.answer(self.passkey.assertion(to_sign, **lies)))

    def write(self, decision: str = "approved", **form: str) -> str:
        """Fill in the review's form; returns where the document is."""
        dataset = self.front.datasets.all()[0].id
        answer = self.submit(f"/review/{VERSION}", **{"decision": decision, "dataset": dataset, **form})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """An enrolled node with a dataset and one script to decide about; its portal does not answer."""
    made = make_node(tmp_path)
    offer(made.home)
    return made


@pytest.fixture
def hurried() -> threading.Event:
    """Set when the page asked the agent to talk to the portal."""
    return threading.Event()


@pytest.fixture
def front(node: Node, hurried: threading.Event) -> Front:
    return Front(node.home, ADDRESS, Control(node.home), hurried.set)


Meet = Callable[..., Visitor]


@pytest.fixture
def meet(front: Front) -> Meet:
    """Bring a person to the page: `meet()` a stranger, `meet("Ada Lovelace")` one who is signed in."""

    def bring(name: str = "", role: Role = "site admin", passkey: SoftPasskey | None = None) -> Visitor:
        visitor = Visitor(front, Client(build(front)), passkey or SoftPasskey())
        if name:
            answer = visitor.register(Trust(front.home).invite(name=name, role=role))
            assert answer.status_code == 200, answer.text
        return visitor

    return bring
