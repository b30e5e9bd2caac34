"""The door for contents too large for a message: nodes fetch and hand them in as one body each.

It stands before Django, which would write a body to disk before anybody looks at it. A request is signed by the node
like every other (its path names the body) and shows the ticket of its message (`federation.runs.tickets`). A node may
send the same request twice: nothing is counted, and the same bytes come to lie in the same place.

GET sends the content, from the byte on that a range names. PUT takes one, PATCH goes on where a broken PUT stopped
("Upload-Offset"), HEAD says how much has come.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Final

import structlog
from asgiref.sync import sync_to_async
from django.db import connection

from federation.runs import tickets
from federation.runs.storage import shelf
from federation.runs.tickets import Ticket
from fedstudy_core import signed_request
from fedstudy_core.errors import FedStudyError, Forbidden, Invalid, NotFound
from fedstudy_core.freight import OFFSET, PREFIX, SHA256, TICKET, Arrival, Writing
from portal.api.node_auth import CHALLENGE, acting_node
from portal.api.problems import MEDIA_TYPE, problem
from portal.body_limit import Application, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

PART: Final = 1024 * 1024
_RANGE = re.compile(r"bytes=([0-9]{1,15})-")
_SIGNED = (signed_request.NODE, signed_request.TIMESTAMP, signed_request.SEQUENCE, signed_request.SIGNATURE)

Headers = Mapping[str, str]


class FreightDoor:
    """ASGI middleware: answers what is below `PREFIX` and hands on everything else."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await _answer(scope, receive, send)
        else:
            await self._application(scope, receive, send)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    method, sha256 = scope["method"], scope["path"].removeprefix(PREFIX)
    try:
        ticket = await sync_to_async(_admitted)(method, scope["raw_path"].decode("latin-1"), headers)
        if not SHA256.fullmatch(sha256):
            raise NotFound("E_NOT_FOUND")
        match method:
            case "GET":
                await _send_content(ticket, sha256, headers, send)
            case "HEAD":
                await _say_how_much(ticket, sha256, send)
            case "PUT" | "PATCH":
                offset = _number(headers, OFFSET) if method == "PATCH" else 0
                await _take(ticket, sha256, offset, _number(headers, "content-length"), receive)
                await _send_head(send, 204, {})
            case _:
                raise Invalid("E_METHOD", status=405)
    except FedStudyError as error:
        await _refuse(send, error)
    except OSError as error:
        log.error("freight_not_written", error=str(error))
        await _refuse(send, FedStudyError("E_STORAGE_FULL", status=507))


def _admitted(method: str, path: str, headers: Headers) -> Ticket:
    """The ticket of a node that signed the request, and whose it is. Raises Forbidden."""
    try:
        signed = {name: headers[name.lower()] for name in _SIGNED if name.lower() in headers}
        node = acting_node(signed, method, path)
        ticket = tickets.read(headers.get(TICKET.lower(), ""))
        if ticket.node != str(node.pk):
            raise Forbidden("E_TICKET")
        return ticket
    finally:
        if not connection.in_atomic_block:
            connection.close()


def _number(headers: Headers, name: str) -> int:
    text = headers.get(name.lower(), "")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Invalid("E_INVALID", f"The header {name} is missing, or no number.")
    return int(text)


async def _send_content(ticket: Ticket, sha256: str, headers: Headers, send: Send) -> None:
    if sha256 != ticket.sha256:
        raise NotFound("E_NOT_FOUND")
    try:
        file = shelf().offered(ticket.run, sha256).open("rb", buffering=0)
    except FileNotFoundError as error:
        raise NotFound("E_NOT_FOUND") from error
    with file:
        size = file.seek(0, 2)
        asked = _RANGE.fullmatch(headers.get("range", ""))
        begin = min(int(asked[1]), size) if asked else 0
        file.seek(begin)
        told = {"content-length": str(size - begin), "content-type": "application/octet-stream"}
        if asked:
            told["content-range"] = f"bytes {begin}-{size - 1}/{size}"
        await _send_head(send, 206 if asked else 200, told, more=True)
        while part := await asyncio.to_thread(file.read, PART):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _say_how_much(ticket: Ticket, sha256: str, send: Send) -> None:
    size = shelf().arriving(ticket.run, ticket.answer).size(sha256)
    await _send_head(send, 204, {OFFSET.lower(): str(size)})


async def _take(ticket: Ticket, sha256: str, offset: int, length: int, receive: Receive) -> None:
    """Write what comes. One that breaks off keeps its part. Raises Refusal, OSError."""
    if offset + length > ticket.most:
        raise Invalid("E_TOO_LARGE", f"An answer has at most {ticket.most} bytes.", status=413)
    arrival: Arrival = shelf().arriving(ticket.run, ticket.answer)
    if arrival.is_whole(sha256):
        return
    with await asyncio.to_thread(arrival.begin, sha256, offset) as writing:
        await _write(writing, receive, offset + length)
        if writing.size == offset + length:
            await asyncio.to_thread(writing.finish)


async def _write(writing: Writing, receive: Receive, most: int) -> None:
    waiting: list[bytes] = []
    more = True
    while more:
        message: Message = await receive()
        waiting.append(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
        if writing.size + sum(map(len, waiting)) > most:
            raise Invalid("E_TOO_LARGE", "More bytes come than the request says.", status=413)
        if not more or sum(map(len, waiting)) >= PART:
            await asyncio.to_thread(writing.add, *waiting)
            waiting = []


async def _send_head(send: Send, status: int, headers: Headers, *, more: bool = False) -> None:
    told = {"cache-control": "no-store", **headers}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    if not more:
        await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Send, error: FedStudyError) -> None:
    """Answer with a problem. The connection ends: a body that nobody wants may still be coming."""
    body = json.dumps(problem(error.code, error.detail, error.status)).encode()
    told = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "connection": "close"}
    if error.status == 401:
        told["www-authenticate"] = CHALLENGE
    await _send_head(send, error.status, told, more=True)
    await send({"type": "http.response.body", "body": body})
