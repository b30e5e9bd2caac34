"""The walls around the page: hosts, origins, tokens, headers, sizes."""

import pytest
from starlette.routing import Mount, Route

from fedstudy_node.control import Control
from fedstudy_node.page import app as apps
from fedstudy_node.page.address import PageAddress
from fedstudy_node.page.front import Front
from fedstudy_node.page.guard import LARGEST_BODY
from tests.agent.page.conftest import ADDRESS, VERSION, Client, Meet, Visitor
from tests.factories.agent import Node
from tests.factories.passkeys import ORIGIN

PAGES = ["/", "/approvals", "/policies", "/work", "/left", "/datasets", "/journal", "/people", "/about"]
CHANGES = [
    "/refresh",
    "/sign-out",
    f"/review/{VERSION}",
    "/policies",
    "/work/pause",
    "/work/resume",
    "/work/veto",
    f"/sign/{'0' * 64}",
    f"/sign/{'0' * 64}/drop",
    f"/approvals/{'0' * 64}/revoke",
    f"/policies/{'0' * 64}/revoke",
]
OPEN_TO_STRANGERS = {"/sign-in", "/sign-in/options", "/register", "/register/options"}


@pytest.mark.parametrize("path", [*PAGES, f"/review/{VERSION}"])
def test_pages_are_for_people_who_signed_in(meet: Meet, path: str) -> None:
    meet("Ada Lovelace").read(path)
    assert meet().get(path).headers["location"].startswith("/sign-in?next=")


@pytest.mark.parametrize("path", CHANGES)
def test_nothing_changes_without_the_token_or_for_strangers(meet: Meet, path: str) -> None:
    ada = meet("Ada Lovelace")
    for body in ({}, {"token": ""}, {"token": "x" * 43}):
        answer = ada.client.request("POST", path, data=body, headers=ada.headers)
        assert (answer.status_code, "E_AUTHENTICATION" in answer.text) == (403, True)
    half = '{"token": "\\ud800"}'  # half a character, which JSON can write and no text can hold
    answer = ada.client.request("POST", path, content=half, headers={**ada.headers, "content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (403, "E_AUTHENTICATION")
    stranger = meet()
    answer = stranger.submit(path)
    assert (answer.status_code, "E_AUTHENTICATION" in answer.text) == (403, True)


def test_every_change_is_in_the_list(front: Front) -> None:
    """So that no new address goes without the tests above."""
    found = set()
    for route in _routes(front):
        if "POST" in (route.methods or ()):
            found.add(route.path)
    listed = {path.replace(VERSION, "{version}").replace("0" * 64, "{id}") for path in CHANGES} | OPEN_TO_STRANGERS
    assert {_plain(path) for path in found} == {_plain(path) for path in listed}


def _plain(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


def _routes(front: Front) -> list[Route]:
    starlette = apps.build(front)._app  # type: ignore[attr-defined]
    return [route for route in starlette.routes if not isinstance(route, Mount)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "http://localhost:8602"},
        {"Origin": "https://localhost:8601"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_form_from_elsewhere_is_refused_even_with_the_token(meet: Meet, front: Front, headers: dict) -> None:
    ada = meet("Ada Lovelace")
    answer = ada.client.request("POST", "/work/pause", data={"token": ada.token()}, headers=headers)
    assert answer.status_code == 403
    assert front.control.state().paused is None


@pytest.mark.parametrize("headers", [{"Origin": "null", "Sec-Fetch-Site": "same-origin"}, {"Origin": ORIGIN}])
def test_our_own_forms_pass(meet: Meet, front: Front, headers: dict) -> None:
    ada = meet("Ada Lovelace")
    ada.client.request("POST", "/work/pause", data={"token": ada.token()}, headers=headers)
    assert front.control.state().paused is not None


@pytest.mark.parametrize("host", ["127.0.0.1:8601", "localhost", "localhost:8602", "evil.example", "localhost:8601.x"])
def test_only_the_nodes_own_host_name_is_answered(meet: Meet, host: str) -> None:
    """Another name for this machine (DNS rebinding) gets nothing."""
    assert meet("Ada Lovelace").get("/", Host=host).status_code == 421


@pytest.mark.parametrize("path", ["/", "/sign-in", "/static/page.js", "/nowhere", "/.well-known/webauthn"])
def test_every_answer_carries_the_headers(meet: Meet, path: str) -> None:
    headers = meet("Ada Lovelace").get(path).headers
    policy = headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_no_other_site_is_let_in_to_the_passkeys(meet: Meet) -> None:
    assert meet().get("/.well-known/webauthn").status_code == 404


def test_pages_hold_no_script_or_style_of_their_own(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    for path in (*PAGES, f"/review/{VERSION}", ada.write(), "/nowhere"):
        page = ada.get(path).text
        assert page.count("<script") == 1
        assert '<script src="/static/page.js" defer></script>' in page
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick" not in page


def test_large_and_endless_bodies_are_refused(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    assert ada.submit("/work/pause", reason="x" * LARGEST_BODY).status_code == 413
    chunked = {**ada.headers, "Transfer-Encoding": "chunked"}
    assert ada.client.request("POST", "/work/pause", content=b"", headers=chunked).status_code == 413
    assert ada.send("/sign-in", []).status_code == 400


def cookie_of(front: Front) -> str:
    visitor = Visitor(front, Client(apps.build(front)))
    visitor.headers = {}
    answer = visitor.get("/sign-in", Host=front.address.authority)
    return str(answer.headers["set-cookie"])


def test_the_cookie_is_strict_and_hidden(node: Node, front: Front) -> None:
    plain = cookie_of(front)
    assert plain.startswith("fedstudy-node-8601=")
    assert "HttpOnly" in plain
    assert "SameSite=strict" in plain
    assert "Secure" not in plain
    secure = PageAddress("node.hospital.internal", 443, "10.0.0.5", node.home.path, node.home.path)
    strict = cookie_of(Front(node.home, secure, Control(node.home), lambda: None))
    assert strict.startswith("__Host-fedstudy-node=")
    assert "Secure" in strict
    assert "Path=/" in strict
    assert "Domain" not in strict


def test_a_secure_page_asks_browsers_to_stay_so(node: Node) -> None:
    secure = PageAddress("node.hospital.internal", 443, "10.0.0.5", node.home.path, node.home.path)
    front = Front(node.home, secure, Control(node.home), lambda: None)
    answer = Visitor(front, Client(apps.build(front))).get("/sign-in", Host="node.hospital.internal")
    assert "max-age" in answer.headers["strict-transport-security"]
    assert ADDRESS.origin == ORIGIN
