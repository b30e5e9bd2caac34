"""Who gets what from every route: one table (`tests.api.routes`), held to the URLconf."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from rest_framework.response import Response

from audit.models import Event
from tests.api.routes import METHODS, PEOPLE, ROUTES, Route, served
from tests.api.world import World


def send(world: World, who: str, item: Route, address: str, body: Any) -> Response:
    kind = "multipart" if item.form else "json"
    options = {} if item.method == "get" else {"format": kind}
    answer: Response = getattr(world.client(who), item.method)(f"/api/v1/{address}", body, **options)
    return answer


def test_every_route_is_in_the_table() -> None:
    assert sorted(served()) == sorted((item.name, item.method) for item in ROUTES)


def test_each_kind_of_person_gets_what_the_table_says(world: World) -> None:
    wrong = []
    for item in ROUTES:
        for who, expected in zip(PEOPLE, item.expected, strict=True):
            status = try_once(world, who, item)
            if status != expected:
                wrong.append(f"{item.method} {item.name}: {who} got {status}, not {expected}")
    assert wrong == []


def try_once(world: World, who: str, item: Route) -> int:
    """The status that somebody gets; what the request did is undone."""
    with transaction.atomic():
        address, body = item.address(world), item.body(world) if item.body else None
        done = Event.objects.filter(outcome="done").count()
        answer = send(world, who, item, address, body)
        check_answer(answer)
        if answer.status_code >= 400:
            assert Event.objects.filter(outcome="done").count() == done, f"{who} changed something"
        transaction.set_rollback(True)
    return answer.status_code


def check_answer(answer: Response) -> None:
    """Errors are problem details; nothing that the API says is kept by a cache or read as a page."""
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["code"].startswith("E_")
        assert problem["detail"]
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"]


def test_a_foreign_object_and_one_that_does_not_exist_give_the_same_answer(world: World) -> None:
    for item in (item for item in ROUTES if item.expected[1] == 404):
        with transaction.atomic():
            address, body = item.address(world), item.body(world) if item.body else None
            foreign = send(world, "stranger", item, address, body)
            ids = [part for part in address.split("?")[0].split("/") if part.count("-") == 4]
            absent = address.replace(ids[0], "00000000-0000-4000-8000-000000000000")
            missing = send(world, "stranger", item, absent, body)
            transaction.set_rollback(True)
        assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content), item.name


def test_a_method_that_is_not_declared_is_refused(world: World) -> None:
    client = world.client("pi")
    for name in {name for name, _ in served()}:
        declared = {method for route_name, method in served() if route_name == name}
        item = next(item for item in ROUTES if item.name == name)
        with transaction.atomic():
            address = item.address(world)
            for method in set(METHODS) - declared:
                options = {} if method == "get" else {"format": "json"}
                answer = getattr(client, method)(f"/api/v1/{address}", {}, **options)
                # a node's routes ask for its signature first; all others say that the method is unknown
                signed = set(item.expected) == {401}
                expected = (401, "E_AUTHENTICATION") if signed else (405, "E_METHOD")
                assert (answer.status_code, answer.json()["code"]) == expected, (name, method)
            transaction.set_rollback(True)


def test_lists_hold_nothing_foreign(world: World) -> None:
    client = world.client("stranger")
    for path in ("studies", "enrolments", "sites", "audit/events"):
        assert client.get(f"/api/v1/{path}").json() == {"results": [], "next": None}, path
