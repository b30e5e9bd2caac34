"""The door for large contents: who may fetch and hand in what, and what becomes of a connection that breaks."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
import uvicorn
from asgiref.sync import sync_to_async
from django.utils import timezone

from federation.runs import tickets
from federation.runs.storage import shelf
from federation.runs.tickets import Ticket
from fedstudy_core import signed_request
from fedstudy_core.flower import Packed
from fedstudy_core.freight import OFFSET, PREFIX, TICKET
from fedstudy_core.keys import generate
from fedstudy_node import freight as node_side
from fedstudy_node.bulk import BulkTransport
from fedstudy_node.errors import ContentLost, RunEnded, TooLarge, Unreachable
from fedstudy_node.freight import FreightClient
from portal import freight as door
from tests.api import world as worlds
from tests.api.world import World

RUN = "0b5e1d6e-0000-4000-8000-000000000001"
MODEL, ANSWER = Random(1).randbytes(3_000_000), Random(2).randbytes(2_500_000)


def named(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def opened() -> Iterator[None]:
    shelf().expect(RUN, "7")
    shelf().offer(RUN, named(MODEL), [MODEL])
    yield
    shelf().close(RUN)


def ticket_for(world: World, **changes: Any) -> Ticket:
    return replace(Ticket(str(world.node.pk), RUN, "7", named(MODEL), 4_000_000), **changes)


class Node:
    """A node's requests."""

    def __init__(self, client: httpx.AsyncClient, world: World) -> None:
        self.client, self.world = client, world

    async def ask(
        self, method: str, sha256: str, body: bytes = b"", ticket: str | None = None, **headers: str
    ) -> httpx.Response:
        path = PREFIX + sha256
        signed = signed_request.sign(
            self.world.keys.identity,
            node=str(self.world.node.pk),
            method=method,
            path=path,
            body=b"",
            now=timezone.now(),
            sequence=0,
        )
        ticket = tickets.as_text(ticket_for(self.world)) if ticket is None else ticket
        told = {**signed, TICKET: ticket, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.client.request(method, path, content=body, headers=told)


@pytest.fixture
async def node(transactional_db: None, opened: None) -> AsyncIterator[Node]:
    from portal.asgi import application

    world = await sync_to_async(worlds.build)()
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield Node(client, world)


async def test_a_node_fetches_what_its_ticket_names(node: Node) -> None:
    answer = await node.ask("GET", named(MODEL))
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, MODEL, "no-store")
    rest = await node.ask("GET", named(MODEL), Range="bytes=2999990-")
    assert (rest.status_code, rest.content) == (206, MODEL[2_999_990:])
    assert rest.headers["content-range"] == "bytes 2999990-2999999/3000000"


async def test_a_node_hands_in_and_goes_on_where_it_broke_off(node: Node) -> None:
    begun = await node.ask("PUT", named(ANSWER), ANSWER[:1_000_000], Content_Length="2500000")
    assert begun.status_code == 204  # what came is kept, and is not the whole
    assert (await node.ask("HEAD", named(ANSWER))).headers[OFFSET] == "1000000"
    wrong = await node.ask("PATCH", named(ANSWER), ANSWER[1_000_001:], **{OFFSET: "1000001"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "E_OFFSET")
    assert (await node.ask("PATCH", named(ANSWER), ANSWER[1_000_000:], **{OFFSET: "1000000"})).status_code == 204
    assert shelf().arrived(RUN, "7", named(ANSWER)).read_bytes() == ANSWER
    again = await node.ask("PUT", named(ANSWER), ANSWER)
    assert again.status_code == 204


async def test_bytes_with_another_hash_are_not_taken(node: Node) -> None:
    answer = await node.ask("PUT", named(ANSWER), MODEL[:2_500_000])
    assert (answer.status_code, answer.json()["code"]) == (422, "E_HASH")
    assert (await node.ask("HEAD", named(ANSWER))).headers[OFFSET] == "0"


NOT_NAMED = "a content that the ticket does not name"  # an answer is named by who hands it in
REFUSED: dict[str, tuple[Callable[[Node], dict[str, Any]], int, str]] = {
    "no ticket": (lambda _: {"ticket": ""}, 403, "E_TICKET"),
    "another node's ticket": (
        lambda node: {"ticket": tickets.as_text(ticket_for(node.world, node=RUN))}, 403, "E_TICKET"
    ),
    "a ticket that was altered": (
        lambda node: {"ticket": "a" + tickets.as_text(ticket_for(node.world))}, 403, "E_TICKET"
    ),
    NOT_NAMED: (
        lambda node: {"ticket": tickets.as_text(ticket_for(node.world, sha256=named(b"other")))}, 404, "E_NOT_FOUND"
    ),
    "another run's": (
        lambda node: {"ticket": tickets.as_text(ticket_for(node.world, run=RUN.replace("1", "2")))}, 404, "E_NOT_FOUND"
    ),
    "no signature": (lambda _: {"FedStudy_Signature": "AAAA"}, 401, "E_SIGNATURE"),
    "another node's signature": (lambda _: {"FedStudy_Node": RUN}, 401, "E_SIGNATURE"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "given"),
    [(method, given) for given in REFUSED for method in ("GET", "PUT") if (method, given) != ("PUT", NOT_NAMED)],
)
async def test_who_may_not_learns_nothing(node: Node, given: str, method: str) -> None:
    changes, status, code = REFUSED[given]
    answer = await node.ask(method, named(MODEL), **changes(node))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_node_that_was_revoked_is_not_let_in(node: Node) -> None:
    node.world.node.state = "revoked"
    await sync_to_async(node.world.node.save)()
    answer = await node.ask("GET", named(MODEL))
    assert (answer.status_code, answer.json()["code"]) == (403, "E_NODE")


@pytest.mark.parametrize(
    ("method", "sha256", "headers", "status"),
    [
        ("PUT", named(ANSWER), {"Content_Length": "4000001"}, 413),
        ("PATCH", named(ANSWER), {}, 400),
        ("POST", named(ANSWER), {}, 405),
        ("PUT", "../../models", {}, 404),
        ("GET", "A" * 64, {}, 404),
    ],
)
async def test_requests_that_are_not_meant(
    node: Node, method: str, sha256: str, headers: dict[str, str], status: int
) -> None:
    assert (await node.ask(method, sha256, b"x", **headers)).status_code == status


async def test_a_full_disk_is_said_and_leaves_the_part(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fedstudy_core.freight.Writing.add", full)
    answer = await node.ask("PUT", named(ANSWER), ANSWER)
    assert (answer.status_code, answer.json()["code"]) == (507, "E_STORAGE_FULL")


class Breaking(BulkTransport):
    """A line that breaks after so many bytes, for so many requests."""

    def __init__(self, after: int, times: int) -> None:
        super().__init__(ssl.create_default_context(), timeout_s=20.0)
        self.after, self.times = after, times
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.method)
        breaks = request.method != "HEAD" and self.times > 0
        self.times -= breaks
        if breaks and request.method != "GET":
            request.stream = _Cut(request.stream, self.after, httpx.WriteError("the line broke"))  # type: ignore[arg-type]
        response = super().handle_request(request)
        if breaks and request.method == "GET":
            response.stream = _Cut(response.stream, self.after, httpx.ReadError("the line broke"))  # type: ignore[arg-type]
        return response


class _Cut(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, after: int, error: Exception) -> None:
        self._stream, self._after, self._error = stream, after, error

    def __iter__(self) -> Iterator[bytes]:
        seen = 0
        for part in self._stream:
            yield part
            seen += len(part)
            if seen >= self._after:
                raise self._error

    def close(self) -> None:
        self._stream.close()


@pytest.fixture
def serving(opened: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The door behind a real server; who is let in is tried above."""
    monkeypatch.setattr(door, "_admitted", lambda *_: Ticket("", RUN, "7", named(MODEL), 4_000_000))
    monkeypatch.setattr(node_side, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(node_side, "PATIENCE", 20.0)
    with _served() as url:
        yield url


@contextmanager
def _served() -> Iterator[str]:
    async def nothing(*_: object) -> None:
        raise AssertionError("only the door is asked")

    config = uvicorn.Config(door.FreightDoor(nothing), port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def client_of(url: str, transport: BulkTransport, folder: Path) -> FreightClient:
    return FreightClient(httpx.Client(base_url=url, transport=transport), RUN, generate, folder)


@pytest.fixture
def client(serving: str, tmp_path: Path) -> Iterator[FreightClient]:
    """A node's side, over a line that holds."""
    with closing(client_of(serving, Breaking(0, 0), tmp_path)) as client:
        yield client


def nothing() -> None:
    pass


def test_fetching_goes_on_after_a_break(serving: str, tmp_path: Path) -> None:
    line = Breaking(after=200_000, times=2)
    with closing(client_of(serving, line, tmp_path)) as client:
        came = client.fetch(named(MODEL), "ticket", nothing)
    assert bytes(came.data) == MODEL
    assert line.asked == ["GET"] * 3
    assert not any(tmp_path.iterdir())


def test_handing_in_goes_on_after_a_break(serving: str, tmp_path: Path) -> None:
    line = Breaking(after=1_000_000, times=1)
    packed = Packed([ANSWER[:100], memoryview(ANSWER)[100:]])
    with closing(client_of(serving, line, tmp_path)) as client:
        client.hand_in(packed, "ticket", nothing)
    assert line.asked[:2] == ["PUT", "HEAD"]
    assert shelf().arrived(RUN, "7", named(ANSWER)).read_bytes() == ANSWER


def test_an_answer_of_which_all_bytes_came_is_made_a_whole(serving: str, tmp_path: Path) -> None:
    """The portal ended after it had written the last of them."""
    with shelf().arriving(RUN, "7").begin(named(ANSWER), 0) as writing:
        writing.add(ANSWER)
    with closing(client_of(serving, Breaking(after=0, times=1), tmp_path)) as client:
        client._begun.add(named(ANSWER))
        client.hand_in(Packed([ANSWER]), "ticket", nothing)
    assert shelf().arrived(RUN, "7", named(ANSWER)).read_bytes() == ANSWER


def test_a_node_learns_when_nobody_waits_for_it_any_more(client: FreightClient) -> None:
    shelf().close(RUN)
    with pytest.raises(RunEnded):
        client.hand_in(Packed([ANSWER]), "ticket", nothing)
    with pytest.raises(ContentLost):
        client.fetch(named(MODEL), "ticket", nothing)


def test_a_node_learns_that_its_answer_is_too_large(client: FreightClient) -> None:
    with pytest.raises(TooLarge):
        client.hand_in(Packed([bytes(4_000_001)]), "ticket", nothing)


def test_a_portal_that_sends_something_else_is_not_believed(client: FreightClient) -> None:
    path = shelf().offered(RUN, named(MODEL))
    path.write_bytes(MODEL[:-1] + b"\0")
    with pytest.raises(ContentLost):
        client.fetch(named(MODEL), "ticket", nothing)


def test_a_portal_that_is_away_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_side, "PATIENCE", 0.05)
    monkeypatch.setattr(node_side, "FIRST_PAUSE", 0.01)
    with closing(client_of("http://127.0.0.1:9", Breaking(0, 0), tmp_path)) as client:
        with pytest.raises(Unreachable):
            client.fetch(named(MODEL), "ticket", nothing)
        with pytest.raises(Unreachable):
            client.hand_in(Packed([ANSWER]), "ticket", nothing)
