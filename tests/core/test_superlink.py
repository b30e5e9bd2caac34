"""How FedStudy runs Flower's SuperLink: bodies in one piece."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fedstudy_core.superlink.bodies import WholeBodies


def test_a_body_comes_in_one_piece_and_whole() -> None:
    pieces = [os.urandom(1000) for _ in range(80)]
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    assert seen_of(waiting) == {"type": "http.request", "body": b"".join(pieces), "more_body": False}


def test_a_body_that_breaks_off_is_none() -> None:
    waiting = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    assert seen_of(waiting) == {"type": "http.disconnect"}


def seen_of(waiting: list[dict[str, Any]]) -> dict[str, Any]:
    """The first message of a request that the application behind `WholeBodies` sees."""
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())

    async def receive() -> Any:
        return waiting.pop(0)

    asyncio.run(WholeBodies(application)({"type": "http", "path": "/v1/fleet/push-object"}, receive, _send_nothing))
    return dict(seen[0])


async def _send_nothing(message: Any) -> None:
    raise AssertionError(message)
