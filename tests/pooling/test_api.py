"""Pooled rows by the API: what nodes say and ask, and what people see and end."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import begin_program_session
from fedstudy_core import wire, wire_pool
from studies.pooling.consents import record_revocation
from studies.pooling.models import PoolConsent, PooledObject
from tests.api.test_node import HEARTBEAT
from tests.api.world import NodeKeys, facts
from tests.factories.accounts import holder_of
from tests.factories.pools import Member, Pool, key_statement, new_pool, recipient, sealed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_folder(settings: Any, tmp_path: Any) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path


@pytest.fixture
def pool() -> Pool:
    return new_pool(key=False)


def client(person: User) -> APIClient:
    made = APIClient()
    _, token = begin_program_session(user=person)
    made.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return made


class Speaker:
    """A node that speaks to the portal."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.keys = NodeKeys(member.hardware.identity, member.hardware.approval, member.hardware.flower)

    def say(self, method: str, path: str, body: Any = None) -> Any:
        return self.keys.send(self.member.node.pk, method, path, body)


def packed(envelope: bytes) -> str:
    return base64.b64encode(envelope).decode("ascii")


def refused(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_site_pools_from_the_first_key_to_the_proof_that_it_is_gone(pool: Pool) -> None:
    centre, site = Speaker(pool.centre), Speaker(pool.member)
    study = str(pool.study.pk)
    heard = wire.HeartbeatAnswer.model_validate(centre.say("POST", "heartbeat", HEARTBEAT).json())
    assert heard.pool is not None
    assert site.say("POST", "heartbeat", HEARTBEAT).json()["pool"] is None, "it is no pool node"
    (wanted,) = centre.say("GET", "pool/keys").json()
    assert wire_pool.PoolKeyWanted.model_validate(wanted).site == str(pool.member.site.pk)
    offer = wire_pool.PoolOffer.model_validate(site.say("GET", f"pool/offer/{study}").json())
    assert (offer.node, offer.node_key, offer.recipient) == (
        str(pool.centre.node.pk), pool.centre.node.identity_key, "",
    )  # fmt: skip
    key = {"study": study, "site": wanted["site"], "recipient": pool.recipient}
    assert centre.say("POST", "pool/keys", key | {"envelope": packed(key_statement(pool))}).status_code == 201
    offer = wire_pool.PoolOffer.model_validate(site.say("GET", f"pool/offer/{study}").json())
    assert (offer.recipient, offer.columns[0]["name"]) == (pool.recipient, "age")

    given = site.say("POST", "pool/consents", {"envelope": packed(pool.consent())})
    assert given.status_code == 201
    consent = PoolConsent.objects.get(sha256=given.json()["consent"])
    content = sealed()
    announced = site.say("POST", "pool/objects", {"manifest": packed(pool.manifest(consent, content))})
    assert announced.status_code == 201
    assert announced.json()["upload"] == f"/api/v1/node/pool/objects/{announced.json()['object']}/content"
    assert centre.say("GET", "pool/objects").json() == [], "nothing has come yet"
    PooledObject.objects.update(state="complete", completed_at=consent.recorded_at)
    (listed,) = centre.say("GET", "pool/objects").json()
    told = wire_pool.PooledObject.model_validate(listed)
    assert (told.state, told.sha256, told.delete) == ("complete", hashlib.sha256(content).hexdigest(), False)
    assert base64.b64decode(told.consent) == bytes(consent.envelope)
    assert (told.node_key, told.approvers) == (pool.member.node.identity_key, pool.member.node.approvers)
    assert site.say("GET", "pool/objects").json() == []

    table = facts(study, columns=["age", "outcome"], pooled=[consent.sha256], fingerprint="e" * 64)
    assert centre.say("POST", "datasets", table).status_code == 201
    refused(site.say("POST", "datasets", table | {"name": "other"}), 404, "E_NO_POOL")

    changed = centre.say("POST", "heartbeat", HEARTBEAT).json()["pool"]["changed"]
    revoked = site.say("POST", "pool/revocations", {"envelope": packed(pool.revocation(consent, delete=True))})
    assert revoked.status_code == 204
    assert centre.say("POST", "heartbeat", HEARTBEAT).json()["pool"]["changed"] > changed
    (listed,) = centre.say("GET", "pool/objects").json()
    assert (listed["state"], listed["delete"], bool(listed["revocation"])) == ("revoked", True, True)
    refused(centre.say("POST", "datasets", table | {"fingerprint": "d" * 64}), 409, "E_CONSENT_REVOKED")
    assert centre.say("POST", "pool/deletions", {"envelope": packed(pool.deletion(consent))}).status_code == 204
    assert centre.say("GET", "pool/objects").json() == []
    (again,) = centre.say("GET", "pool/keys").json()
    assert again["site"] == wanted["site"], "the next consent wants a new key"


def test_nodes_of_others_get_nothing(pool: Pool) -> None:
    other = new_pool()
    stranger, study = Speaker(other.centre), str(pool.study.pk)
    refused(stranger.say("GET", f"pool/offer/{study}"), 404, "E_NOT_FOUND")
    key = {"study": study, "site": str(pool.member.site.pk), "recipient": recipient()}
    refused(stranger.say("POST", "pool/keys", key | {"envelope": packed(key_statement(pool))}), 404, "E_NO_POOL")
    assert stranger.say("POST", "pool/consents", {"envelope": packed(pool.consent())}).status_code == 409
    refused(stranger.say("POST", "pool/consents", {"envelope": "no base64"}), 400, "E_INVALID")


def test_the_pool_node_hears_of_a_deletion_once_the_newer_rows_under_the_key_have_come() -> None:
    """It keeps a key for rows that it has, and knows nothing of those that are still to come."""
    pool = new_pool()
    centre, first = Speaker(pool.centre), pool.give()
    pool.send(first)
    second = pool.give()
    record_revocation(envelope=pool.revocation(first, delete=True), trusted=pool.member.revokers, by=pool.member.node)

    def told() -> list[tuple[str, bool, bool]]:
        rows = centre.say("GET", "pool/objects").json()
        return [(row["state"], row["delete"], bool(row["revocation"])) for row in rows]

    assert told() == [("revoked", False, False)]
    pool.send(second)
    assert told() == [("revoked", True, True), ("complete", False, False)]


def test_people_see_what_is_pooled_and_end_it() -> None:
    pool = new_pool()
    consent = pool.give()
    pool.send(consent)
    study, one = f"/api/v1/studies/{pool.study.pk}", f"/api/v1/pool-consents/{consent.pk}"
    pi, admin = client(pool.pi), client(pool.member.admin)
    shown = pi.get(f"{study}/pool").json()
    assert shown["pool_node"]["node"] == str(pool.centre.node.pk)
    assert shown["rows"] == 80
    assert [(row["site"]["name"], row["state"]) for row in shown["sites"]] == [(pool.member.site.name, "valid")]
    assert {row["id"] for row in shown["candidates"]} == {str(pool.centre.node.pk), str(pool.member.node.pk)}
    assert admin.get(f"{study}/pool").json()["candidates"] == []
    assert [row["id"] for row in pi.get(f"{study}/pool-consents").json()["results"]] == [str(consent.pk)]
    other = client(pool.centre.admin)
    assert other.get(f"{study}/pool-consents").json()["results"] == []
    refused(other.get(one), 404, "E_NOT_FOUND")
    assert admin.get(one).json()["statement"]["legal_basis"]["gdpr6"] == "1(e)"
    refused(pi.post(f"{one}/revoke", {}, format="json"), 403, "E_FORBIDDEN")
    ended = admin.post(f"{one}/revoke", {"reason": "enough"}, format="json").json()
    assert (ended["state"], ended["reason"], ended["delete_asked_at"]) == ("revoked", "enough", None)
    steward = client(holder_of(Role.STEWARD, pool.member.site))
    asked = steward.post(f"{one}/delete-rows", {}, format="json").json()
    assert (asked["delete_asked_at"] is not None, asked["awaits_proof"]) == (True, True)
    assert pi.get(f"{study}/pool").json()["rows"] == 0
    assert pi.delete(f"{study}/pool").status_code == 204
    refused(pi.delete(f"{study}/pool"), 404, "E_NO_POOL")
    named = pi.put(f"{study}/pool", {"node": str(pool.member.node.pk)}, format="json")
    assert named.json()["pool_node"]["site"]["name"] == pool.member.site.name
