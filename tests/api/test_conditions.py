"""Versions of what the API shows, and requests that depend on them."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from audit.models import Event
from portal.api.document import openapi_document
from studies.lifecycle.services import edit_study
from tests.api.world import VARIABLES, NodeKeys, World, enrolled_node
from tests.security.access import scene
from tests.security.access.api import ROWS
from tests.security.access.row import KINDS


def study(world: World) -> str:
    return f"/api/v1/studies/{world.study.pk}"


def etag_of(client: Any, address: str) -> str:
    return str(client.get(address).headers["ETag"])


def test_what_has_not_changed_is_not_sent_again(world: World) -> None:
    client = world.client("pi")
    first = client.get(study(world))
    again = client.get(study(world), headers={"if-none-match": first.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert again.headers["Cache-Control"] == "no-store"
    edit_study(study=world.study, title="Lungs", by=world.pi)
    changed = client.get(study(world), headers={"if-none-match": first.headers["ETag"]})
    assert (changed.status_code, changed.json()["title"]) == (200, "Lungs")
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("given", ["W/{}", '"other", {}', "*"])
def test_any_version_that_is_held_counts(world: World, given: str) -> None:
    client = world.client("pi")
    held = given.format(etag_of(client, "/api/v1/studies"))
    assert client.get("/api/v1/studies", headers={"if-none-match": held}).status_code == 304


def test_every_reading_has_a_version_that_stays(world: World) -> None:
    client, told = world.client("pi"), 0
    for row in ROWS:
        if row.method != "get" or "P" not in row.may or row.name == "api:run-file" or row.make or row.fixed:
            continue
        obj = KINDS[row.kind].find(world)  # type: ignore[arg-type]
        address = reverse(row.name, args=() if obj is None else (obj.pk,))
        answers = [client.get(address) for _ in range(2)]
        if answers[0].status_code == 200:
            told += 1
            assert answers[0].headers["ETag"] == answers[1].headers["ETag"], row.name
    assert told > 20


def test_one_form_of_json_has_one_version(world: World) -> None:
    client = world.client("pi")
    plain, wide = (
        client.get(study(world), headers={"accept": f"application/json{more}"}) for more in ("", "; indent=4")
    )
    assert plain.content == wide.content


def test_a_file_is_known_by_its_digest_and_not_read_for_nothing(world: World) -> None:
    scene.leave_results(world)
    client = world.client("pi")
    bundle = client.get(f"/api/v1/script-versions/{world.version.pk}/bundle")
    assert bundle.headers["ETag"] == f'"{world.version.sha256}"'
    model = f"/api/v1/runs/{world.run.pk}/model"
    held = etag_of(client, model)
    assert client.get(model, headers={"if-none-match": held}).status_code == 304
    assert Event.objects.filter(action="runs:model:downloaded").count() == 1
    assert world.client("auditor").get(model, headers={"if-none-match": held}).status_code == 403


def test_nobody_writes_over_what_they_have_not_seen(world: World) -> None:
    client = world.client("pi")
    seen = etag_of(client, study(world))
    edit_study(study=world.study, title="Lungs", by=world.pi)
    refused = client.patch(study(world), {"title": "Hearts"}, format="json", headers={"if-match": seen})
    assert (refused.status_code, refused.json()["code"]) == (412, "E_PRECONDITION")
    assert client.get(study(world)).json()["title"] == "Lungs"
    now = etag_of(client, study(world))
    for held in (f'"x", {now}', "*"):
        done = client.patch(study(world), {"title": "Hearts"}, format="json", headers={"if-match": held})
        assert done.status_code == 200
    weak = client.patch(study(world), {"title": "Hands"}, format="json", headers={"if-match": f"W/{now}"})
    assert weak.status_code == 412


def test_a_move_is_compared_with_the_object(world: World) -> None:
    client, address = world.client("pi"), f"/api/v1/runs/{world.run.pk}"
    seen = etag_of(client, address)
    body = {"priority": "high"}
    assert client.post(f"{address}/priority", body, format="json", headers={"if-match": seen}).status_code == 200
    stopped = client.post(f"{address}/stop", {}, format="json", headers={"if-match": seen})
    assert stopped.status_code == 412
    assert client.get(address).json()["state"] == "draft"


def test_a_dictionary_replaces_the_one_that_was_read(world: World) -> None:
    client, address = world.client("pi"), f"{study(world)}/dictionary"
    seen, body = etag_of(client, address), {"variables": VARIABLES[:1]}
    assert client.post(address, body, format="json", headers={"if-none-match": "*"}).status_code == 412
    assert client.post(address, body, format="json", headers={"if-match": seen}).status_code == 201
    assert client.post(address, {"variables": VARIABLES}, format="json", headers={"if-match": seen}).status_code == 412
    other = f"/api/v1/studies/{client.post('/api/v1/studies', {'title': 'New'}, format='json').json()['id']}/dictionary"
    assert client.post(other, body, format="json", headers={"if-match": "*"}).status_code == 412
    assert client.post(other, body, format="json", headers={"if-none-match": "*"}).status_code == 201


def test_a_condition_is_never_passed_over(world: World) -> None:
    answer = world.client("pi").post("/api/v1/studies", {"title": "New"}, format="json", headers={"if-match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (412, "E_PRECONDITION")


def test_a_condition_shows_nothing_of_what_is_not_one_s_own(world: World) -> None:
    for who, status in (("stranger", 404), ("anonymous", 401), ("auditor", 403)):
        headers = {"if-match": etag_of(world.client("pi"), study(world))}
        answer = world.client(who).patch(study(world), {"title": "Mine"}, format="json", headers=headers)
        assert answer.status_code == status


def test_a_refusal_under_a_condition_is_noted_as_without(world: World) -> None:
    node = enrolled_node(world.site, "node-2", NodeKeys(), world.site_admin)
    client, address = world.client("site_admin"), f"/api/v1/nodes/{node.pk}"
    headers = {"if-match": etag_of(client, address)}
    answer = client.post(f"{address}/confirm", {"words": "not these"}, format="json", headers=headers)
    assert answer.json()["code"] == "E_WORDS"
    assert Event.objects.filter(object_id=str(node.pk), action="registry:node:mismatched").exists()


def test_a_write_that_is_sent_again_is_answered_before_it_is_compared(world: World) -> None:
    client = world.client("pi")
    headers = {"if-match": etag_of(client, study(world)), "idempotency-key": "one"}
    answers = [client.patch(study(world), {"title": "Lungs"}, format="json", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


def test_the_document_names_versions_and_conditions() -> None:
    paths = openapi_document()["paths"]
    reading, writing = paths["/api/v1/runs/{id}"]["get"], paths["/api/v1/runs/{id}/stop"]["post"]
    assert "304" in reading["responses"]
    assert "ETag" in reading["responses"]["200"]["headers"]
    assert {"If-Match", "If-None-Match"} <= {parameter["name"] for parameter in writing["parameters"]}
    assert "If-Match" not in {parameter["name"] for parameter in paths["/api/v1/studies"]["post"]["parameters"]}
