"""The portal of this process, for the Python client: requests are answered within the test's own transaction."""

from __future__ import annotations

from contextlib import ExitStack

import httpx
from django.test import Client

from fedstudy_client import FedStudy
from tests.api.world import PASSWORD

PASSED_ON = ("accept", "auth", "idempotency", "if-")


class Portal:
    """Clients of this process's own portal."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def client(self, email: str = "") -> FedStudy:
        made = self._stack.enter_context(FedStudy("http://localhost", pauses=()))
        made._http._http.close()
        made._http._http = httpx.Client(base_url="http://localhost/api/v1/", transport=httpx.MockTransport(hand_over))
        return made.login(email, PASSWORD) if email else made


def hand_over(request: httpx.Request) -> httpx.Response:
    """A request of the client, answered by the portal within the test's own transaction."""
    kind = request.headers.get("content-type", "")
    answer = Client().generic(
        request.method,
        request.url.raw_path.decode(),
        request.read(),
        content_type=kind,
        headers={name: value for name, value in request.headers.items() if name.startswith(PASSED_ON)},
    )
    return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)
