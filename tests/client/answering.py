"""A portal that gives the answers that a test tells it, for the command line."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from fedstudy_client import client
from fedstudy_client.transport import Transport

URL = "https://portal.example"
PERSON = {"id": "u", "name": "Pat", "email": "pat@x.example", "roles": [{"role": "pi", "kind": "study", "name": "H"}]}
STUDY = {"id": "s", "title": "Hearts", "slug": "hearts", "state": "active", "summary": "", "aims": ""}


class Portal:
    """Answers requests by what is said of their method and path; keeps what came."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, Any] = {"GET me": PERSON, "GET studies": page(STUDY)}
        self.came: list[tuple[str, str, Any]] = []
        make = Transport.__init__

        def patched(transport: Transport, url: str, token: str = "", **options: Any) -> None:
            make(transport, url, token, **options)
            transport._http.close()
            transport._http = httpx.Client(base_url=f"{url}/api/v1/", transport=httpx.MockTransport(self._answer))

        monkeypatch.setattr(client.Transport, "__init__", patched)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        what = f"{request.method} {request.url.path.removeprefix('/api/v1/')}"
        is_json = request.headers.get("content-type") == "application/json"
        self.came.append(
            (what, request.headers.get("authorization", ""), json.loads(request.content) if is_json else None)
        )
        answer = self.answers.get(what)
        if answer is None:
            return httpx.Response(404, json={"code": "E_NOT_FOUND", "detail": f"Nothing at {what}."})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


def page(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"results": list(rows), "next": None}


def run(label: str, **changes: Any) -> dict[str, Any]:
    """A run as the portal answers it."""
    values = {
        "id": f"{label * 8}-0000-4000-8000-000000000000", "label": label, "state": "completed", "version": "v",
        "rounds": 3, "committed": 3, "strategy": "fedavg", "config": {"seed": 1, "rate": 0.1},
        "strategy_parameters": {}, "metric": "auc", "better": "higher",
        "sites": [{"id": "1", "name": "A", "role": "trains"}],
        "reason_code": "", "reason": "", "best_round": 3,
    }  # fmt: skip
    return {**values, **changes}


def results(**pooled: float) -> dict[str, Any]:
    return {"committed": 3, "total": 3, "sites": [], "pooled": pooled}
