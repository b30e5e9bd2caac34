"""Flower's SuperLink with its middlewares joined answers as Flower's own does, to whoever asks for whatever."""

import asyncio
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import FastAPI
from flwr.superlink import main as flower
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware

from fedstudy_core.superlink.bodies import WholeBodies
from fedstudy_core.superlink.middlewares import Joined, joined, joining

PROTOBUF = {"content-type": "application/protobuf"}
FLEET, RUNTIME, CONTROL = "/v1/fleet/pull-messages", "/v1/runtime/pull-messages", "/v1/control/stop-run"


@dataclass(frozen=True)
class Question:
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: dict(PROTOBUF))
    method: str = "POST"


QUESTIONS = {
    "a fleet request that nobody signed": Question(FLEET),
    "one that somebody signed wrongly": Question(
        FLEET, headers={**PROTOBUF, "flwr-public-key": "AAAA", "flwr-signature": "AAAA", "flwr-timestamp": "2030-01-01"}
    ),
    "a driver without a token": Question(RUNTIME),
    "a control request": Question(CONTROL),
    "one whose answer nobody may keep": Question("/v1/control/get-auth-tokens"),
    "bytes that are no message": Question(CONTROL, b"\xff\xff\xff"),
    "a message of another kind": Question(FLEET, b"{}", {"content-type": "application/json"}),
    "no known path": Question("/v1/fleet/no-such-thing"),
    "another method": Question(FLEET, method="GET"),
    "a page": Question("/openapi.json", method="GET"),
}


def answer(app: FastAPI, asked: Question) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://superlink") as client:
            return await client.request(asked.method, asked.path, content=asked.body, headers=asked.headers)

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def apps() -> tuple[FastAPI, FastAPI]:
    return flower.create_app(), joining(flower.create_app)()


@pytest.mark.parametrize("asked", QUESTIONS.values(), ids=QUESTIONS)
def test_every_request_is_answered_as_flower_answers_it(apps: tuple[FastAPI, FastAPI], asked: Question) -> None:
    theirs, ours = (answer(app, asked) for app in apps)
    assert (ours.status_code, ours.content, ours.headers) == (theirs.status_code, theirs.content, theirs.headers)


def test_the_requests_above_meet_every_kind_of_answer(apps: tuple[FastAPI, FastAPI]) -> None:
    found = {name: answer(apps[1], asked).status_code for name, asked in QUESTIONS.items()}
    assert found["a fleet request that nobody signed"] == found["one that somebody signed wrongly"] == 401
    assert {200, 401, 404, 405, 415} <= set(found.values()), found


def test_all_middlewares_are_there_in_their_order() -> None:
    theirs, ours = flower.create_app().user_middleware, joining(flower.create_app)().user_middleware
    assert [step.cls for step in ours] == [WholeBodies, Joined], "Flower has a middleware of another kind now"
    steps = ours[1].kwargs["steps"]
    assert [(step.cls, step.kwargs) for step in steps] == [(step.cls, step.kwargs) for step in theirs]
    assert len(theirs) == 9


def test_what_works_in_another_way_is_left_where_it_stands() -> None:
    class Other:
        pass

    class Own(BaseHTTPMiddleware):
        async def __call__(self, *_: object) -> None:
            """Does more than `dispatch`."""

    class Plain(BaseHTTPMiddleware):
        pass

    outcome = joined([Middleware(cls) for cls in (Plain, Plain, Other, Own, Plain)])  # type: ignore[arg-type]
    assert [step.cls for step in outcome] == [Joined, Other, Own, Joined]
