"""How a request's body comes to Flower's SuperLink: in one piece.

Flower's middlewares start tasks for every piece of a body, and one of 4 MiB comes in some sixty.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class WholeBodies:
    """ASGI middleware: the application is called when the body is there, and gets it in one piece."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Collect the body, then call the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        first = await receive()
        if first["type"] == "http.request" and first.get("more_body"):
            first = await _whole(first, receive)
        await self._app(scope, _given_first(first, receive), send)


async def _whole(message: Message, receive: Receive) -> Message:
    """All of a body that begins with `message`; a disconnection in the middle stands for the whole."""
    pieces = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        if message["type"] != "http.request":
            return message
        pieces.append(message.get("body", b""))
    return {"type": "http.request", "body": b"".join(pieces), "more_body": False}


def _given_first(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def receive_next() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_next
