"""What holds for every request: JSON, problems, pages, the OpenAPI document, health."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import DataError, IntegrityError, OperationalError
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema
from psycopg.errors import UniqueViolation
from redis.exceptions import ConnectionError as RedisDown
from rest_framework import exceptions, serializers

from audit.models import Event
from federation.runs.selectors import events_for
from fedstudy_core.errors import FieldProblem, Invalid
from portal.api import problems
from portal.api.base import Input, checked
from portal.api.document import openapi_document
from studies.lifecycle.services import create_study
from tests.api.world import World


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"title": "A", "title": "B"}', "twice"),
        (b'{"title": NaN}', "NaN"),
        (b'{"title": "A"', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'["title"]', "one JSON object"),
        (b'{"title": ' + b"[" * 40 + b"]" * 40 + b"}", "nested"),
        (b'{"title": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "JSON"),
    ],
)
def test_json_that_is_not_quite_right_is_refused(world: World, body: bytes, words: str) -> None:
    answer = world.client("pi").generic("POST", "/api/v1/studies", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "E_INVALID")
    assert words in answer.json()["detail"]


def test_a_body_over_the_limit_is_refused(world: World) -> None:
    body = json.dumps({"title": "x" * settings.FEDSTUDY_MAX_BODY}).encode()
    answer = world.client("pi").generic("POST", "/api/v1/studies", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (413, "E_TOO_LARGE")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_only_json_is_read(world: World, kind: str) -> None:
    answer = world.client("pi").generic("POST", "/api/v1/studies", b"title=A", content_type=kind)
    assert (answer.status_code, answer.json()["code"]) == (415, "E_MEDIA_TYPE")


def test_only_json_is_written(world: World) -> None:
    answer = world.client("pi").get("/api/v1/studies", headers={"accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (406, "E_MEDIA_TYPE")


def test_text_that_postgresql_cannot_keep_is_refused(world: World) -> None:
    answer = world.client("pi").post("/api/v1/studies", {"title": "A\x00B"}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "title")


@pytest.mark.parametrize("address", ["/api/v1/nothing", "/api/v1/", "/api/v1/studies/7", "/api/v1/studies/"])
def test_an_address_that_does_not_exist_is_a_problem_too(client: Client, address: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (404, "E_NOT_FOUND")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_lists_come_in_pages(world: World) -> None:
    for number in range(5):
        create_study(title=f"Study {number}", by=world.pi)
    client, seen, cursor = world.client("pi"), [], None
    while True:
        page = client.get("/api/v1/studies", {"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        assert set(page) == {"results", "next"}
        seen += [study["title"] for study in page["results"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"Study {number}" for number in (4, 3, 2, 1, 0)] + [world.study.title]


def test_a_cursor_that_is_none_is_refused(world: World) -> None:
    answer = world.client("pi").get("/api/v1/studies", {"cursor": "nonsense"})
    assert (answer.status_code, answer.json()["code"]) == (404, "E_NOT_FOUND")


def test_a_query_that_is_unknown_is_refused(world: World) -> None:
    answer = world.client("pi").get("/api/v1/audit/events", {"studdy": str(world.study.pk)})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "studdy")


def test_events_are_narrowed(world: World) -> None:
    client = world.client("pi")
    query = {"study": str(world.study.pk), "action": "lifecycle:study:moved"}
    rows = client.get("/api/v1/audit/events", query).json()["results"]
    assert [row["detail"]["new"] for row in rows] == ["active", "recruiting"]
    by_object = client.get("/api/v1/audit/events", {"object": str(world.run.pk)}).json()["results"]
    assert {row["object_type"] for row in by_object} == {"run"}
    assert client.get("/api/v1/audit/events", {"site": str(world.site.pk)}).json()["results"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Invalid("E_DICTIONARY", errors=[FieldProblem("a", "E_DICTIONARY", "Twice.")]), 400, "E_DICTIONARY"),
        (DataError("bad value"), 400, "E_INVALID"),
        (OperationalError("server closed the connection"), 503, "E_UNAVAILABLE"),
        (RedisDown("refused"), 503, "E_UNAVAILABLE"),
        (exceptions.APIException(), 500, "E_SERVER"),
        (exceptions.Throttled(wait=12.3), 429, "E_THROTTLED"),
    ],
)
def test_errors_become_problems_without_their_inner_words(error: Exception, status: int, code: str) -> None:
    answer = problems.handle(error, {})
    assert answer is not None
    assert (answer.status_code, answer.data["code"], answer.data["status"]) == (status, code, status)
    assert answer.data["type"] == f"urn:fedstudy:problem:{code}"
    assert "duplicate key" not in str(answer.data)


def test_only_what_is_there_already_is_told_to_be_there() -> None:
    doubled = IntegrityError("duplicate key")
    doubled.__cause__ = UniqueViolation()
    answer = problems.handle(doubled, {})
    assert answer is not None
    assert (answer.status_code, answer.data["code"]) == (409, "E_EXISTS")
    assert "duplicate key" not in str(answer.data)


@pytest.mark.parametrize("error", [ZeroDivisionError(), IntegrityError("violates a check constraint")])
def test_what_is_not_foreseen_goes_on_as_a_failure(error: Exception) -> None:
    assert problems.handle(error, {}) is None


def test_what_somebody_may_not_do_is_in_the_log_once_a_minute(world: World) -> None:
    for _ in range(3):
        answer = world.client("auditor").patch(f"/api/v1/studies/{world.study.pk}", {"title": "Mine"}, format="json")
        assert answer.status_code == 403
    world.client("stranger").get("/api/v1/users")
    client = Client()
    client.force_login(world.auditor, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(f"/studies/{world.study.pk}/runs/new").status_code == 403
    rows = Event.objects.filter(action="accounts:permission:denied").order_by("pk")
    assert [(row.actor_label, row.outcome, json.loads(row.detail)["permission"], row.study) for row in rows] == [
        ("Ody Auditor", "refused", "study.edit", str(world.study.pk)),
        ("Sam Stranger", "refused", "platform.manage_users", ""),
        ("Ody Auditor", "refused", "study.start_run", str(world.study.pk)),
    ]
    assert rows[0] in events_for(world.pi)


def test_a_refusal_at_a_site_is_that_site_s(world: World) -> None:
    world.client("pi").post(f"/api/v1/enrolments/{world.enrolment.pk}/withdraw", {}, format="json")
    row = Event.objects.get(action="accounts:permission:denied")
    assert (row.site, row.object_label) == (str(world.site.pk), world.site.name)
    assert row in events_for(world.site_admin)


def test_a_refusal_is_noted_while_redis_is_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*args: Any, **kwargs: Any) -> None:
        raise RedisDown("refused")

    monkeypatch.setattr(cache, "add", down)
    assert world.client("pi").get("/api/v1/users").status_code == 403
    assert Event.objects.filter(action="accounts:permission:denied").exists()


def test_a_failure_answers_a_problem_and_tells_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("portal.api.studies.create_study", fail)
    client = world.client("pi")
    client.raise_request_exception = False
    answer = client.post("/api/v1/studies", {"title": "A"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (500, "E_SERVER")
    assert b"secret" not in answer.content


def test_a_host_name_that_is_not_the_portal_s(client: Client) -> None:
    answer = client.get("/api/v1/me", headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (400, "E_INVALID")


def test_nested_field_errors_are_told_by_their_path() -> None:
    class Inner(Input):
        number = serializers.IntegerField()

    class Outer(Input):
        rows = Inner(many=True)
        names = serializers.ListField(child=serializers.CharField())

    with pytest.raises(exceptions.ValidationError) as caught:
        checked(Outer, {"rows": [{"number": 1}, {"number": "x", "y": 2}], "names": ["a", None]})
    found = {error.field for error in problems.field_problems(caught.value.detail)}
    assert found == {"rows.1.y", "names.1"}


def test_the_openapi_document_is_sound_and_complete(client: Client) -> None:
    openapi_document.cache_clear()
    GENERATOR_STATS.reset()
    document = client.get("/api/v1/openapi.json").json()
    validate_schema(document)
    assert not GENERATOR_STATS._error_cache
    assert not GENERATOR_STATS._warn_cache
    paths = document["paths"]
    assert "/api/v1/studies/{id}/transition" in paths
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert operation["summary"], (path, method)
            assert operation["responses"]["default"]["content"]["application/problem+json"], (path, method)
    bundle = paths["/api/v1/script-versions/{id}/bundle"]["get"]["responses"]["200"]["content"]
    assert bundle == {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    page = paths["/api/v1/studies"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert page == {"$ref": "#/components/schemas/StudyPage"}


@pytest.mark.django_db
def test_the_health_check_says_what_does_not_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "checks": {"database": True, "redis": True}}

    def down(*args: Any, **kwargs: Any) -> None:
        raise RedisDown("refused")

    monkeypatch.setattr(cache, "get", down)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "failing", "checks": {"database": True, "redis": False}}


def test_a_request_keeps_its_identity(client: Client) -> None:
    assert client.get("/healthz", headers={"x-request-id": "abcdef-123456"}).headers["X-Request-ID"] == "abcdef-123456"
    assert len(client.get("/healthz", headers={"x-request-id": "bad id\n"}).headers["X-Request-ID"]) == 32


def test_pages_and_api_have_their_security_headers(client: Client) -> None:
    headers = client.get("/sign-in").headers
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["nowhere", "studies/"])
def test_an_address_that_does_not_exist_is_told_in_json_whatever_the_method(path: str, method: str) -> None:
    answer = Client(enforce_csrf_checks=True).generic(method, f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "E_NOT_FOUND")
    assert answer.headers["Content-Type"] == problems.MEDIA_TYPE
