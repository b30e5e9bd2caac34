"""Bodies that are too large are refused before anybody stores them."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from portal.body_limit import FRAMING, BodyLimit, Receive, Scope, Send
from portal.failures import too_large_page


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers how many bytes it was sent."""
    seen, more = 0, True
    while more:
        message = await receive()
        seen += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(seen).encode()})


@pytest.fixture
def client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(BodyLimit(count, body=100, upload=1000, page=too_large_page))
    return httpx.AsyncClient(transport=transport, base_url="http://portal")


async def trickle(size: int) -> AsyncIterator[bytes]:
    for _ in range(size):
        yield b"x"


async def test_a_body_within_the_limit_passes(client: httpx.AsyncClient) -> None:
    assert (await client.post("/", content=b"x" * 100)).text == "100"


async def test_a_declared_length_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/", content=b"x" * 101)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["code"] == "E_TOO_LARGE"


async def test_an_undeclared_length_is_counted(client: httpx.AsyncClient) -> None:
    assert (await client.post("/", content=trickle(101))).status_code == 413
    assert (await client.post("/", content=trickle(100))).status_code == 200


async def test_forms_have_the_limit_of_uploads_whatever_they_hold(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert (await client.post("/", content=b"x" * (1000 + FRAMING), headers=headers)).status_code == 200
    answer = await client.post("/", content=b"x" * (1001 + FRAMING), headers=headers)
    assert answer.json()["code"] == "E_TOO_LARGE"
    assert "1000 bytes" in answer.json()["detail"]


async def test_a_browser_gets_a_page_with_the_request_s_number(client: httpx.AsyncClient) -> None:
    answer = await client.post("/studies", content=b"x" * 101, headers={"accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "This is too large" in answer.text and "E_TOO_LARGE" in answer.text
    assert answer.headers["x-request-id"] in answer.text
    api = await client.post("/api/v1/studies", content=b"x" * 101, headers={"accept": "text/html,*/*"})
    assert api.headers["content-type"] == "application/problem+json"
