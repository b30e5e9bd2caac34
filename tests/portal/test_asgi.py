"""The portal as an ASGI server runs it."""

import threading
from collections.abc import AsyncIterator

import asgiref.sync
import httpx
import pytest
from django.conf import settings

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    from portal.asgi import application

    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_the_health_check_answers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_static_files_are_served_with_their_type_and_headers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/static/fedstudy/css/base.css")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "public" in answer.headers["cache-control"]
    etag = answer.headers["last-modified"]
    again = await client.get("/static/fedstudy/css/base.css", headers={"If-Modified-Since": etag})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_static_file_that_is_not_there(client: httpx.AsyncClient) -> None:
    assert (await client.get("/static/fedstudy/css/../../../manage.py")).status_code == 404


async def test_a_large_body_is_refused_before_anything_reads_it(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/auth/token", content=b"x" * (settings.FEDSTUDY_MAX_BODY + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "E_TOO_LARGE")


async def test_a_page_leaves_the_event_loop_once(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Besides the beginning and the end of the request, which Django tells of by signals."""
    went: list[str] = []
    run, back = asgiref.sync.SyncToAsync.__call__, asgiref.sync.AsyncToSync.__call__

    async def out(self: asgiref.sync.SyncToAsync, *args: object, **kwargs: object) -> object:
        went.append(getattr(self.func, "__name__", ""))
        return await run(self, *args, **kwargs)

    def home(self: asgiref.sync.AsyncToSync, *args: object, **kwargs: object) -> object:
        went.append(f"back in {threading.current_thread().name}")
        return back(self, *args, **kwargs)

    monkeypatch.setattr(asgiref.sync.SyncToAsync, "__call__", out)
    monkeypatch.setattr(asgiref.sync.AsyncToSync, "__call__", home)
    assert (await client.get("/sign-in")).status_code == 200
    assert went == ["sync_send", "get_response", "close"]
