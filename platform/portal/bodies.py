"""Large contents as one body each, to and from files, for the doors that stand before Django (`portal.freight`)."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fedstudy_core.errors import FedStudyError, Invalid, NotFound
from fedstudy_core.freight import OFFSET, Arrival, Writing
from portal.api.node_auth import CHALLENGE
from portal.api.problems import MEDIA_TYPE, problem
from portal.body_limit import Message, Receive, Scope, Send

PART: Final = 1024 * 1024
_RANGE = re.compile(r"bytes=([0-9]{1,15})-")

Headers = Mapping[str, str]


def headers_of(scope: Scope) -> Headers:
    """A request's headers, their names in small letters."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def number_in(headers: Headers, name: str) -> int:
    """The whole number in a header. Raises Invalid E_INVALID."""
    text = headers.get(name.lower(), "")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Invalid("E_INVALID", f"The header {name} is missing, or no number.")
    return int(text)


async def send_file(path: Path, headers: Headers, send: Send) -> None:
    """Send a file, from the byte on that a range names. Raises NotFound."""
    try:
        file = path.open("rb", buffering=0)
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
        await send_head(send, 206 if asked else 200, told, more=True)
        while part := await asyncio.to_thread(file.read, PART):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def take(arrival: Arrival, sha256: str, offset: int, length: int, receive: Receive) -> bool:
    """Write what comes; whether it is whole now. One that breaks off keeps its part.

    Raises:
        Invalid: E_TOO_LARGE; E_HASH when it is another content than its SHA-256 says.
        Conflict, NotFound, OSError: as `fedstudy_core.freight.Arrival.begin` and `Writing.finish`.
    """
    if arrival.is_whole(sha256):
        return True
    with await asyncio.to_thread(arrival.begin, sha256, offset) as writing:
        await _write(writing, receive, offset + length)
        if writing.size < offset + length:
            return False
        await asyncio.to_thread(writing.finish)
        return True


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


async def say_how_much(arrival: Arrival, sha256: str, send: Send) -> None:
    """How many bytes have come."""
    await send_head(send, 204, {OFFSET.lower(): str(arrival.size(sha256))})


async def send_head(send: Send, status: int, headers: Headers, *, more: bool = False) -> None:
    """The head of an answer, which ends with it unless `more` comes."""
    told = {"cache-control": "no-store", **headers}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    if not more:
        await send({"type": "http.response.body", "body": b""})


async def refuse(send: Send, error: FedStudyError) -> None:
    """Answer with a problem. The connection ends: a body that nobody wants may still be coming."""
    body = json.dumps(problem(error.code, error.detail, error.status)).encode()
    told = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "connection": "close"}
    if error.status == 401:
        told["www-authenticate"] = CHALLENGE
    await send_head(send, error.status, told, more=True)
    await send({"type": "http.response.body", "body": body})
