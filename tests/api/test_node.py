"""The node API: signatures, enrolment, and what an agent tells and asks."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from audit.models import Event
from fedstudy_core import canonical, dsse, signed_request, wire
from fedstudy_core.keys import Ed25519PrivateKey, generate, public_text
from fedstudy_core.revocation import PAYLOAD_TYPE, Revocation, sign_revocation
from fedstudy_core.rotation import Rotation
from fedstudy_core.statement import sign_statement
from nodes.registry.models import Node
from nodes.registry.services import expect_node
from studies.dictionary.models import Dataset
from studies.enrolment.models import Enrolment
from studies.scripts.models import Approval
from tests.api.world import NodeKeys, World, enrolled_node, facts, introduction

HEARTBEAT = {"agent_version": "0.1.0", "sandbox": "S1", "datasets": [], "clock": "2030-01-01T00:00:00Z"}


def refused(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_node_enrols_and_is_confirmed_by_its_words(world: World, settings: Settings, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\n")
    settings.FEDSTUDY_SUPERLINK_CA, settings.FEDSTUDY_SUPERLINK_ADDRESS = authority, "fleet.example:9092"
    admin, keys = world.client("site_admin"), NodeKeys()
    expected = admin.post(f"/api/v1/sites/{world.site.pk}/nodes", {"name": "node-2"}, format="json").json()
    assert expected["state"] == "expected"
    answer = APIClient().post("/api/v1/node/enrol", introduction(expected["token"], keys), format="json")
    assert answer.status_code == 200
    told = wire.EnrolAnswer.model_validate(answer.json())
    assert (told.node, told.site.name) == (expected["id"], "Cleveland Clinic")
    assert told.superlink == wire.SuperLinkRef(address="fleet.example:9092", ca_pem="-----BEGIN CERTIFICATE-----\n")

    waiting = Node.objects.get(pk=told.node)
    assert keys.send(waiting.pk, "POST", "heartbeat", HEARTBEAT).json()["node_state"] == "pending"
    refused(keys.send(waiting.pk, "GET", "studies"), 403, "E_NODE")
    path = f"/api/v1/nodes/{told.node}/confirm"
    refused(admin.post(path, {"words": "one two three four five six"}, format="json"), 409, "E_WORDS")
    confirmed = admin.post(path, {"words": f"  {told.words.upper()} "}, format="json")
    assert confirmed.json()["state"] == "active"
    assert keys.send(waiting.pk, "GET", "studies").status_code == 200


def test_a_token_is_good_once(world: World) -> None:
    _, token = expect_node(site=world.site, name="node-2", by=world.site_admin)
    client = APIClient()
    assert client.post("/api/v1/node/enrol", introduction(token), format="json").status_code == 200
    refused(client.post("/api/v1/node/enrol", introduction(token), format="json"), 403, "E_TOKEN")


def test_keys_that_are_not_held_use_no_token_up(world: World) -> None:
    _, token = expect_node(site=world.site, name="node-2", by=world.site_admin)
    body = {**introduction(token), "proof": introduction(token)["proof"]}
    refused(APIClient().post("/api/v1/node/enrol", body, format="json"), 403, "E_SIGNATURE")
    refused(APIClient().post("/api/v1/node/enrol", {**body, "identity_key": "no key"}, format="json"), 400, "E_KEY")
    assert Node.objects.get(name="node-2").state == "expected"
    assert APIClient().post("/api/v1/node/enrol", introduction(token), format="json").status_code == 200


def test_an_introduction_with_other_fields_is_refused(world: World) -> None:
    body = {**introduction("t" * 30), "site": str(world.site.pk), "name": ""}
    answer = APIClient().post("/api/v1/node/enrol", body, format="json")
    refused(answer, 400, "E_INVALID")
    assert {error["field"] for error in answer.json()["errors"]} == {"site", "name"}


def test_a_request_without_or_with_a_wrong_signature(world: World) -> None:
    refused(APIClient().get("/api/v1/node/studies"), 401, "E_AUTHENTICATION")
    refused(world.keys.send(world.node.pk, "GET", "studies", key=generate()), 401, "E_SIGNATURE")
    refused(world.keys.send(world.study.pk, "GET", "studies"), 401, "E_SIGNATURE")
    headers = {"FedStudy-Node": "not a uuid"}
    refused(APIClient().get("/api/v1/node/studies", headers=headers), 401, "E_SIGNATURE")


@pytest.mark.parametrize("header", [signed_request.TIMESTAMP, signed_request.SEQUENCE, signed_request.SIGNATURE])
def test_a_header_that_is_altered_or_missing(world: World, header: str) -> None:
    path = "/api/v1/node/studies"
    options = {"node": str(world.node.pk), "method": "GET", "path": path, "body": b"", "now": timezone.now()}
    headers = signed_request.sign(world.keys.identity, sequence=50, **options)
    refused(APIClient().get(path, headers={**headers, header: "nonsense"}), 401, "E_SIGNATURE")
    del headers[header]
    refused(APIClient().get(path, headers=headers), 401, "E_SIGNATURE")


def test_another_body_or_address_than_was_signed(world: World) -> None:
    path = "/api/v1/node/heartbeat"
    body = json.dumps(HEARTBEAT).encode()
    options = {"node": str(world.node.pk), "method": "POST", "body": body, "now": timezone.now()}
    headers = signed_request.sign(world.keys.identity, path=path, sequence=50, **options)
    altered = body.replace(b"S1", b"S4")
    answer = APIClient().generic("POST", path, altered, content_type="application/json", headers=headers)
    refused(answer, 401, "E_SIGNATURE")
    answer = APIClient().generic("POST", f"{path}?x=1", body, content_type="application/json", headers=headers)
    refused(answer, 401, "E_SIGNATURE")
    assert APIClient().generic("POST", path, body, content_type="application/json", headers=headers).status_code == 200


def test_a_request_that_was_seen_before(world: World) -> None:
    assert world.keys.send(world.node.pk, "GET", "studies", sequence=7).status_code == 200
    refused(world.keys.send(world.node.pk, "GET", "studies", sequence=7), 403, "E_SEQ")
    refused(world.keys.send(world.node.pk, "GET", "studies", sequence=6), 403, "E_SEQ")
    assert world.keys.send(world.node.pk, "GET", "studies", sequence=8).status_code == 200


def test_a_refused_request_counts_too(world: World) -> None:
    refused(world.keys.send(world.node.pk, "POST", "datasets", {}, sequence=9), 400, "E_INVALID")
    refused(world.keys.send(world.node.pk, "POST", "datasets", {}, sequence=9), 403, "E_SEQ")


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_clock_that_is_off(world: World, minutes: int) -> None:
    now = timezone.now() + timedelta(minutes=minutes)
    refused(world.keys.send(world.node.pk, "GET", "studies", now=now), 401, "E_CLOCK")


def test_a_revoked_node_is_not_heard(world: World) -> None:
    path = f"/api/v1/nodes/{world.node.pk}/revoke"
    assert world.client("site_admin").post(path, {}, format="json").json()["state"] == "revoked"
    refused(world.keys.send(world.node.pk, "GET", "studies"), 403, "E_NODE")
    assert Enrolment.objects.get().state == "accepted"


def test_a_heartbeat_makes_a_node_online(world: World) -> None:
    answer = world.keys.send(world.node.pk, "POST", "heartbeat", HEARTBEAT)
    told = wire.HeartbeatAnswer.model_validate(answer.json())
    assert (told.node_state, told.flower_node_id) == ("active", None)
    seen = world.client("site_admin").get(f"/api/v1/nodes/{world.node.pk}").json()
    assert (seen["online"], seen["sandbox"]) == (True, "S1")


def test_a_node_sees_its_studies_with_their_dictionary(world: World) -> None:
    rows = world.keys.send(world.node.pk, "GET", "studies").json()
    told = wire.StudyRef.model_validate(rows[0])
    assert (told.id, told.level, told.state) == (str(world.study.pk), "F2", "active")
    assert told.dictionary is not None
    assert [variable["name"] for variable in told.dictionary.variables] == ["age", "stenosis"]
    assert len(rows) == 1


def test_a_dataset_that_fits_makes_the_site_ready(world: World) -> None:
    told = facts(str(world.study.pk), name="rows 2", fingerprint="e" * 64)
    answer = world.keys.send(world.node.pk, "POST", "datasets", told)
    assert answer.status_code == 201
    listed = world.client("pi").get(f"/api/v1/studies/{world.study.pk}/datasets").json()["results"]
    assert {row["name"]: row["state"] for row in listed} == {"rows": "valid", "rows 2": "valid"}
    assert "path" not in json.dumps(listed)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rows_band": "303"}, "rows_band"),
        ({"rows": 303}, "rows"),
        ({"fingerprint": "short"}, "fingerprint"),
        ({"format": "sas7bdat"}, "format"),
    ],
)
def test_a_dataset_that_says_too_much_or_too_little(world: World, change: dict[str, Any], field: str) -> None:
    answer = world.keys.send(world.node.pk, "POST", "datasets", facts(str(world.study.pk), name="other", **change))
    refused(answer, 400, "E_INVALID")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert Dataset.objects.count() == 1


def test_a_dataset_for_a_study_without_this_site(world: World) -> None:
    told = {**facts(str(world.study.pk)), "study": "00000000-0000-4000-8000-000000000000"}
    refused(world.keys.send(world.node.pk, "POST", "datasets", told), 404, "E_NOT_FOUND")
    told["study"] = "no id"
    refused(world.keys.send(world.node.pk, "POST", "datasets", told), 400, "E_INVALID")


def test_a_node_fetches_the_scripts_and_their_very_bytes(world: World) -> None:
    offers = world.keys.send(world.node.pk, "GET", "scripts").json()
    offer = wire.ScriptOffer.model_validate(offers[0])
    assert (offer.sha256, offer.approval) == (world.version.sha256, str(world.approval.pk))
    answer = world.keys.send(world.node.pk, "GET", f"scripts/{offer.version}/bundle")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.content == bytes(world.version.bundle)


def test_a_signed_statement_is_kept_byte_for_byte(world: World) -> None:
    envelope = world.envelope(nonce="another nonce, 20 long")
    body = {"version": str(world.version.pk), "dataset": str(world.dataset.pk), "envelope": envelope}
    answer = world.keys.send(world.node.pk, "POST", "approvals", body)
    assert (answer.status_code, answer.json()["state"]) == (201, "valid")
    listed = world.client("auditor").get(f"/api/v1/script-versions/{world.version.pk}/approvals").json()["results"]
    assert envelope in [row["envelope"] for row in listed]
    assert {row["approver_name"] for row in listed} == {"Ada Admin"}


def test_statements_that_do_not_hold(world: World) -> None:
    body = {"version": str(world.version.pk), "dataset": str(world.dataset.pk)}

    def hand_in(envelope: str) -> Any:
        return world.keys.send(world.node.pk, "POST", "approvals", {**body, "envelope": envelope})

    forged = base64.b64encode(sign_statement(world.statement(), generate())).decode()
    assert hand_in(forged).json()["code"] == "E_NO_TRUSTED_SIGNATURE"
    altered = base64.b64encode(base64.b64decode(world.envelope()).replace(b"A", b"B", 1)).decode()
    assert hand_in(altered).json()["code"] in ("E_SIG", "E_ENVELOPE", "E_NOT_CANONICAL")
    assert hand_in(world.envelope(script={"sha256": "0" * 64, "size": 5})).json()["code"] == "E_BUNDLE"
    assert hand_in("not base64!").json()["code"] == "E_INVALID"
    assert hand_in(world.envelope(approvers=[{**world.signer, "name": "Somebody Else"}])).json()["code"] == "E_SIGNERS"
    investigator = {"kind": "console", "name": "Pat Investigator", "role": "site admin"}
    investigator["key"] = public_text(world.keys.approval.public_key())
    world.keys.send(world.node.pk, "PUT", "approvers", {"approvers": [investigator]})
    signer = {**world.signer, "name": investigator["name"]}
    assert hand_in(world.envelope(approvers=[signer])).json()["code"] == "E_APPROVER"
    assert Approval.objects.count() == 1


def test_a_node_speaks_for_no_other_node(world: World) -> None:
    other = NodeKeys()
    node = enrolled_node(world.site, "node-2", other, world.site_admin)
    words = {"words": node.words}
    world.client("site_admin").post(f"/api/v1/nodes/{node.pk}/confirm", words, format="json")
    body = {"version": str(world.version.pk), "dataset": str(world.dataset.pk), "envelope": world.envelope()}
    refused(other.send(node.pk, "POST", "approvals", body), 404, "E_NOT_FOUND")
    path = f"approvals/{world.approval.pk}/revoke"
    refused(other.send(node.pk, "POST", path, {"envelope": ""}), 404, "E_NOT_FOUND")
    assert other.send(node.pk, "GET", "scripts").json()[0]["approval"] is None


def revocation(world: World, *signers: Ed25519PrivateKey, **changes: Any) -> str:
    values = {
        "statement": world.approval.statement_id,
        "node": str(world.node.pk),
        "reason": "Protocol amended",
        "revoked_at": "2030-01-01T00:00:00Z",
    }
    return base64.b64encode(sign_revocation(Revocation.model_validate({**values, **changes}), signers)).decode()


@pytest.mark.parametrize("signers", [("approval",), ("identity",), ("identity", "approval")])
def test_a_revocation_is_kept_and_told(world: World, signers: tuple[str, ...]) -> None:
    envelope = revocation(world, *(getattr(world.keys, name) for name in signers))
    path = f"approvals/{world.approval.pk}/revoke"
    assert world.keys.send(world.node.pk, "POST", path, {"envelope": envelope}).status_code == 204
    approval = Approval.objects.get()
    assert (approval.state, approval.revoked_reason) == ("revoked", "Protocol amended")
    assert bytes(approval.revocation or b"") == base64.b64decode(envelope)
    assert Event.objects.latest("id").actor == f"node:{world.node.pk}"
    assert world.keys.send(world.node.pk, "POST", path, {"envelope": envelope}).status_code == 204
    assert Event.objects.filter(action="scripts:approval:revoked").count() == 1


def test_a_revocation_that_does_not_hold_changes_nothing(world: World) -> None:
    def code_of(envelope: str) -> str:
        answer = world.keys.send(world.node.pk, "POST", f"approvals/{world.approval.pk}/revoke", {"envelope": envelope})
        assert Approval.objects.get().state == "valid"
        return str(answer.json()["code"])

    approver = world.keys.approval
    assert code_of(base64.b64encode(b'{"signed": "revocation"}').decode()) == "E_ENVELOPE"
    assert code_of(revocation(world, generate())) == "E_NO_TRUSTED_SIGNATURE"
    assert code_of(world.envelope()) == "E_TYPE"
    assert code_of(revocation(world, approver, statement="0" * 64)) == "E_REVOCATION"
    assert code_of(revocation(world, approver, node=str(world.site.pk))) == "E_REVOCATION"
    assert code_of(revocation(world, approver, revoked_at="yesterday")) == "E_FIELDS"
    unknown = dsse.sign(PAYLOAD_TYPE, canonical.dumps({"v": 1, "all": True}), [approver])
    assert code_of(base64.b64encode(unknown).decode()) == "E_FIELDS"
    whole = json.loads(base64.b64decode(revocation(world, world.keys.identity, approver)))
    whole["signatures"][1]["sig"] = whole["signatures"][0]["sig"]
    spoiled = json.dumps(whole, separators=(",", ":"), sort_keys=True).encode()
    assert code_of(base64.b64encode(spoiled).decode()) == "E_SIG"


def test_a_person_s_token_opens_nothing_for_nodes(world: World) -> None:
    refused(world.client("site_admin").get("/api/v1/node/studies"), 401, "E_AUTHENTICATION")


def test_a_node_s_signature_opens_nothing_for_people(world: World) -> None:
    path = "/api/v1/studies"
    options = {"node": str(world.node.pk), "method": "GET", "path": path, "body": b"", "now": timezone.now()}
    headers = signed_request.sign(world.keys.identity, sequence=50, **options)
    refused(APIClient().get(path, headers=headers), 401, "E_AUTHENTICATION")


def beat(world: World, boot: str, **more: Any) -> Any:
    return world.keys.send(world.node.pk, "POST", "heartbeat", {**HEARTBEAT, "boot": boot * 32, **more})


def rotation(world: World, new: NodeKeys, token: str = "") -> dict[str, str]:
    """What a node sends that replaces its keys."""
    keys = {name: new.public()[name] for name in ("identity_key", "flower_key")}
    made = Rotation(str(world.node.pk), world.keys.public()["identity_key"], **keys)
    return {**keys, **made.prove(new.identity, new.flower), "token": token}


def test_a_node_replaces_its_keys_and_the_old_ones_are_refused(world: World) -> None:
    new = NodeKeys(sequence=1000)
    answer = world.keys.send(world.node.pk, "POST", "rotate", rotation(world, new))
    told = wire.NodeSelf.model_validate(answer.json())
    assert (told.node_state, told.identity_key) == ("active", new.public()["identity_key"])
    refused(world.keys.send(world.node.pk, "GET", "studies"), 401, "E_SIGNATURE")
    assert new.send(world.node.pk, "GET", "studies").status_code == 200
    assert wire.NodeSelf.model_validate(new.send(world.node.pk, "GET", "self").json()) == told
    shown = world.client("site_admin").get(f"/api/v1/nodes/{world.node.pk}").json()
    assert (shown["words"], shown["state"]) == (told.words, "active")
    assert shown["rotated_at"]


def test_two_agents_freeze_a_node_until_it_brings_a_token(world: World) -> None:
    assert beat(world, "a").status_code == 200
    assert beat(world, "b").status_code == 200
    answer = beat(world, "a")
    refused(answer, 403, "E_NODE")
    assert "frozen" in answer.json()["detail"]
    refused(world.keys.send(world.node.pk, "GET", "studies"), 403, "E_NODE")
    new = NodeKeys(sequence=1000)
    refused(world.keys.send(world.node.pk, "POST", "rotate", rotation(world, new)), 403, "E_NODE")
    assert world.keys.send(world.node.pk, "GET", "self").json()["node_state"] == "frozen"
    path = f"/api/v1/nodes/{world.node.pk}/token"
    token = world.client("site_admin").post(path, {}, format="json").json()["token"]
    answer = world.keys.send(world.node.pk, "POST", "rotate", rotation(world, new, token))
    assert answer.json()["node_state"] == "active"
    assert new.send(world.node.pk, "GET", "studies").status_code == 200


def test_a_node_says_which_levels_it_holds_to(world: World) -> None:
    study = str(world.study.pk)
    assert beat(world, "a", levels={study: "F3"}).status_code == 200
    node = Node.objects.get(pk=world.node.pk)
    assert (node.level_in(study), node.level_in(uuid4())) == ("F3", "")
    refused(beat(world, "a", levels={study: "F9"}), 400, "E_INVALID")


def test_a_pause_is_shown_with_its_reason(world: World) -> None:
    pause = {"since": "2030-01-01T00:00:00Z", "reason": "audit"}
    assert beat(world, "a", paused=pause, vetoes=[str(world.run.pk)]).status_code == 200
    shown = world.client("site_admin").get(f"/api/v1/nodes/{world.node.pk}").json()
    assert shown["paused"] == pause
    assert shown["clock_off_s"] > 10**6
