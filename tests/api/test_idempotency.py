"""Writes that are sent again with their key: done once, and answered the same."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import ApiToken
from accounts.sealing import unseal
from audit.models import Event
from portal.api.document import openapi_document
from portal.api.models import StoredAnswer
from portal.api.tasks import forget_answers
from studies.lifecycle.models import ProtocolVersion, Study
from studies.lifecycle.services import create_study
from tests.api.world import NodeKeys, World, enrolled_node

KEY = {"HTTP_IDEMPOTENCY_KEY": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
WITHOUT_KEY = ("/api/v1/setup", "/api/v1/invitations/take-up", "/api/v1/auth/token")


def made(client: APIClient, title: str = "Lungs", **headers: str) -> Any:
    return client.post("/api/v1/studies", {"title": title}, format="json", **(headers or KEY))


def test_the_same_request_again_gets_the_same_answer(world: World) -> None:
    client = world.client("pi")
    first, again = made(client), made(client)
    assert (first.status_code, "Idempotency-Replayed" in first.headers) == (201, False)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert Study.objects.filter(title="Lungs").count() == 1
    assert made(client, HTTP_IDEMPOTENCY_KEY="another").json()["id"] != first.json()["id"]
    bare = made(client, HTTP_IDEMPOTENCY_KEY=KEY["HTTP_IDEMPOTENCY_KEY"].strip('"'))
    assert bare.json() == first.json()


def test_an_answer_without_content_comes_again_too(world: World) -> None:
    client = world.client("pi")
    answers = [client.post("/api/v1/notifications/read", {}, format="json", **KEY) for _ in range(2)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (204, b"")]
    assert "Idempotency-Replayed" in answers[1].headers


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("post", "/api/v1/studies", {"title": "Livers"}),
        ("post", "/api/v1/studies?x=1", {"title": "Lungs"}),
        ("patch", "/api/v1/me", {"name": "Lungs"}),
    ],
)
def test_another_request_with_the_same_key_is_refused(world: World, method: str, address: str, body: Any) -> None:
    client = world.client("pi")
    made(client)
    answer = getattr(client, method)(address, body, format="json", **KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "E_IDEMPOTENCY_OTHER")


@pytest.mark.parametrize("key", ['""', '"', 'a"b', "two words", "x" * 201, "é", "a,b"])
def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    answer = made(world.client("pi"), HTTP_IDEMPOTENCY_KEY=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "E_IDEMPOTENCY_KEY")


def test_a_key_is_one_person_s(world: World) -> None:
    first, other = made(world.client("pi")), made(world.client("stranger"))
    assert other.status_code == 201
    assert other.json()["id"] != first.json()["id"]


def test_what_was_refused_is_tried_anew(world: World) -> None:
    client = world.client("pi")
    refused = client.post(f"/api/v1/studies/{world.study.pk}/transition", {"to": "draft"}, format="json", **KEY)
    assert refused.status_code == 409
    assert made(client).status_code == 201


def test_a_try_that_a_service_noted_stays_noted(world: World) -> None:
    node = enrolled_node(world.site, "node-2", NodeKeys(), world.site_admin)
    client = world.client("site_admin")
    answer = client.post(f"/api/v1/nodes/{node.pk}/confirm", {"words": "not these"}, format="json", **KEY)
    assert answer.json()["code"] == "E_WORDS"
    assert Event.objects.filter(object_id=str(node.pk), action="registry:node:mismatched").exists()


def test_a_failure_leaves_nothing_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(**values: Any) -> None:
        create_study(**values)
        raise ZeroDivisionError

    monkeypatch.setattr("portal.api.studies.create_study", half)
    client = world.client("pi")
    client.raise_request_exception = False
    assert made(client).status_code == 500
    assert not Study.objects.filter(title="Lungs").exists()
    monkeypatch.undo()
    assert made(client).status_code == 201


def test_a_secret_comes_again_and_stands_nowhere_in_clear(world: World) -> None:
    client = world.client("pi")
    body = {"name": "Notebook", "scopes": ["read"]}
    first, again = (client.post("/api/v1/me/tokens", body, format="json", **KEY).json() for _ in range(2))
    assert first["token"] == again["token"]
    assert ApiToken.objects.filter(name="Notebook").count() == 1
    kept = StoredAnswer.objects.get()
    assert first["token"].encode() not in bytes(kept.body)
    assert b"Notebook" not in bytes(kept.body)
    key = KEY["HTTP_IDEMPOTENCY_KEY"].strip('"')
    assert key not in kept.key_digest
    # with these words, also after an update: what was kept before has to open
    purpose = f"fedstudy stored answer 1\0{world.pi.pk}\0{key}".encode()
    opened = unseal(bytes(kept.body), purpose=purpose, bound=kept.request_digest.encode())
    assert json.loads(opened)["token"] == first["token"]


def test_a_file_is_the_same_however_its_form_is_framed(world: World) -> None:
    client, address = world.client("pi"), f"/api/v1/studies/{world.study.pk}/protocol"
    for content, status in ((b"# Second\n", 201), (b"# Second\n", 201), (b"# Third\n", 422)):
        form = {"file": SimpleUploadedFile("protocol.md", content)}
        assert client.post(address, form, format="multipart", **KEY).status_code == status
    assert bytes(ProtocolVersion.objects.order_by("-number")[0].content) == b"# Second\n"
    assert ProtocolVersion.objects.filter(study=world.study).count() == 2


def test_a_key_is_free_again_after_a_day(world: World) -> None:
    client = world.client("pi")
    first = made(client)
    StoredAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24))
    assert made(client).json()["id"] != first.json()["id"]
    forget_answers()
    assert StoredAnswer.objects.count() == 1
    StoredAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24))
    forget_answers()
    assert not StoredAnswer.objects.exists()


def test_the_document_says_which_writes_take_a_key() -> None:
    for path, operations in openapi_document()["paths"].items():
        for method, operation in operations.items():
            names = {parameter["name"] for parameter in operation.get("parameters", ())}
            takes = method != "get" and path not in WITHOUT_KEY and not path.startswith("/api/v1/node/")
            assert ("Idempotency-Key" in names) == takes, (method, path)
