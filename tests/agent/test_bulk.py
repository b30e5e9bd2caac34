"""Large bodies over a plain connection: what breaks off is said, and an early answer is heard."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import SHUT_WR, create_server, socket

import httpx
import pytest

from fedstudy_node.bulk import BulkTransport


@contextmanager
def answering(answer: bytes, read: int = 1) -> Iterator[httpx.Client]:
    """A client of a server that reads a little of one request, says this and hangs up."""
    listening = create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as line:
            line.settimeout(10)
            _read(line, read)
            line.sendall(answer)
            line.shutdown(SHUT_WR)

    thread = threading.Thread(target=serve)
    thread.start()
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    transport = BulkTransport(ssl.create_default_context(), timeout_s=10.0)
    with httpx.Client(base_url=address, transport=transport) as client:
        yield client
    thread.join()


def _read(line: socket, count: int) -> None:
    while count > 0:
        part = line.recv(count)
        assert part
        count -= len(part)


def head(*more: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", *more, "", "")).encode()


def test_a_whole_body_comes_as_it_is() -> None:
    with answering(head("Content-Length: 5") + b"whole") as client:
        assert client.get("/").content == b"whole"
    with answering(head("Transfer-Encoding: chunked") + b"2\r\nwh\r\n3\r\nole\r\n0\r\n\r\n") as client:
        assert client.get("/").content == b"whole"


@pytest.mark.parametrize(
    "answer",
    [head("Content-Length: 6") + b"whole", head("Transfer-Encoding: chunked") + b"6\r\nwhole"],
    ids=["length", "chunks"],
)
def test_a_body_that_breaks_off_is_no_body(answer: bytes) -> None:
    with answering(answer) as client, pytest.raises(httpx.TransportError):
        client.get("/")


@pytest.mark.parametrize("answer", [b"", b"nothing of HTTP\r\n\r\n"], ids=["nothing", "noise"])
def test_what_is_no_answer_is_said(answer: bytes) -> None:
    with answering(answer) as client, pytest.raises(httpx.NetworkError):
        client.get("/")


def test_whoever_wants_no_more_of_a_body_is_heard() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    with answering(refusal) as client:
        assert client.put("/", content=bytes(1_000)).status_code == 413


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://[fd00::1]/a", ("fd00::1", 443)),
        ("http://[fd00::1]/a", ("fd00::1", 80)),
        ("https://portal.example:8443/a", ("portal.example", 8443)),
    ],
)
def test_an_address_is_that_of_its_machine(url: str, place: tuple[str, int]) -> None:
    transport = BulkTransport(ssl.create_default_context(), timeout_s=1.0)
    connection = transport._connection_to(httpx.URL(url))
    assert (connection.host, connection.port) == place
