"""Refuse request bodies that are too large before they are stored anywhere."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Page = Callable[[str, int], tuple[str, bytes]]

# Room for the multipart framing around a bundle of the largest size.
FRAMING = 64 * 1024


class _TooLarge(Exception):
    """The body went over its limit while it was being read."""


class BodyLimit:
    """ASGI middleware: answers 413 by the declared length or by the bytes that really come.

    Args:
        page: makes the request's id and the page for a browser from path and limit; others get problem details.
    """

    def __init__(self, application: Application, *, body: int, upload: int, page: Page) -> None:
        self.application = application
        self.page = page
        self.body = body
        self.upload = upload + FRAMING

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        is_upload = headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data")
        limit = self.upload if is_upload else self.body
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            await self._refuse(scope, send, limit - FRAMING if is_upload else limit)
            return
        await self._pass_on(scope, receive, send, limit=limit, allowed=limit - FRAMING if is_upload else limit)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, *, limit: int, allowed: int) -> None:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _TooLarge
            return message

        try:
            await self.application(scope, counted, send)
        except _TooLarge:
            await self._refuse(scope, send, allowed)

    async def _refuse(self, scope: Scope, send: Send, allowed: int) -> None:
        """Answer 413. What an upload was to be, a script or a protocol, nobody knows here: the code is the same."""
        headers = [(b"cache-control", b"no-store"), (b"connection", b"close")]
        if b"text/html" in dict(scope["headers"]).get(b"accept", b"") and not scope["path"].startswith("/api/"):
            identity, body = self.page(scope["path"], allowed)
            headers += [(b"x-request-id", identity.encode()), (b"content-security-policy", b"default-src 'self'")]
            kind = b"text/html; charset=utf-8"
        else:
            kind, body = b"application/problem+json", _problem(allowed)
        headers += [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _problem(allowed: int) -> bytes:
    problem = {
        "type": "urn:fedstudy:problem:E_TOO_LARGE",
        "title": "Content Too Large",
        "status": 413,
        "detail": f"The request is too large; at most {allowed} bytes are taken.",
        "code": "E_TOO_LARGE",
    }
    return json.dumps(problem).encode()
