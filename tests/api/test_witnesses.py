"""Nodes as witnesses by the API: what is shown to them, what is taken from them, and who sees how they stand."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from accounts.models import Site, User
from accounts.roles import Role
from audit.models import Checkpoint, Cosignature, Event, WitnessRefusal
from audit.proofs import latest_checkpoint
from fedstudy_client.records_log import Witness
from fedstudy_core import wire
from fedstudy_core.transparency.notes import NoteKey
from fedstudy_core.transparency.witnessing import Held, follow, quorum_of
from nodes.registry.models import Node
from nodes.registry.services import confirm_node
from nodes.registry.witnesses import best_of_sites, quorum
from notifications.models import Notification
from tests.api.world import NodeKeys, World, enrolled_node
from tests.audit.logs import sequence, write_events
from tests.audit.witnesses import cosignature_of, key_of
from tests.factories.accounts import SiteFactory, holder_of

pytestmark = pytest.mark.django_db
STATE = "/api/v1/audit/witnesses"


def hand_in(world: World, body: dict[str, Any]) -> Any:
    return world.keys.send(world.node.pk, "POST", "log/cosignatures", body)


def active_node(site: Site, by: User) -> Node:
    node = enrolled_node(site, "another", NodeKeys(), by)
    return confirm_node(node=node, words=node.words, by=by)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_witness_follows_the_log_and_cosigns_it(world: World) -> None:
    sequence()
    told = wire.LogAnswer.model_validate(world.keys.send(world.node.pk, "GET", "log?seen=0").json())
    key = NoteKey.parse(told.key)
    first = follow(key, None, told.checkpoint, [])
    write_events(20)
    sequence()
    told = wire.LogAnswer.model_validate(world.keys.send(world.node.pk, "GET", f"log?seen={first.size}").json())
    before = Checkpoint.objects.get(size=first.size)
    proof = [base64.b64decode(text) for text in told.consistency]
    assert follow(key, Held(key, before.note), told.checkpoint, proof).size == first.size + 20

    for _ in range(2):
        assert hand_in(world, cosignature_of(world.node.pk, latest_checkpoint())).status_code == 204
    assert Cosignature.objects.get().size == first.size + 20
    assert Event.objects.filter(action="registry:witness:began").count() == 1
    for beyond in (first.size + 21, 2**50):
        assert world.keys.send(world.node.pk, "GET", f"log?seen={beyond}").json()["consistency"] == []


def test_what_is_not_the_node_s_own_word_is_not_taken(world: World) -> None:
    sequence()
    checkpoint, node = latest_checkpoint(), world.node.pk
    sound = cosignature_of(node, checkpoint)
    other = SiteFactory.create().pk
    forged = {
        "another name": cosignature_of(node, checkpoint, name=f"fedstudy-node/{other}"),
        "another key": {**sound, "key": cosignature_of(node, checkpoint, key=key_of(other))["key"]},
        "no such checkpoint": {**sound, "size": checkpoint.size + 1},
        "two lines": {**sound, "cosignature": sound["cosignature"] * 2},
        "no line": {**sound, "cosignature": "x"},
    }
    for what, body in forged.items():
        assert code(hand_in(world, body)) == (409, "E_WITNESS"), what
    assert code(hand_in(world, {**sound, "key": "no key"})) == (409, "E_NOTE_KEY")
    write_events(1)
    sequence()
    assert code(hand_in(world, {**sound, "size": latest_checkpoint().size})) == (409, "E_WITNESS")
    assert not Cosignature.objects.exists()


def test_a_second_key_counts_from_what_it_cosigned_first(world: World) -> None:
    """What the node cosigned by its key of before stays as it is, and no event says that another key did."""
    sequence()
    began = Event.objects.filter(action="registry:witness:began")
    other = key_of(SiteFactory.create().pk)
    assert hand_in(world, cosignature_of(world.node.pk, latest_checkpoint())).status_code == 204
    for _ in range(2):
        answer = hand_in(world, cosignature_of(world.node.pk, latest_checkpoint(), key=other))
        assert code(answer) == (409, "E_WITNESS")
    assert (began.count(), Cosignature.objects.count()) == (1, 1)
    assert hand_in(world, cosignature_of(world.node.pk, _grown(), key=other)).status_code == 204
    assert (began.count(), Cosignature.objects.count()) == (2, 2)


def test_the_log_is_witnessed_as_far_as_two_thirds_of_the_sites_say(world: World) -> None:
    nodes = [world.node, active_node(world.site, world.site_admin)]
    nodes += [active_node(site, holder_of(Role.ADMIN, site)) for site in SiteFactory.create_batch(3)]
    assert (quorum().sites, quorum().needed, quorum().size) == (4, 3, 0)
    reached = []
    for node in nodes:
        write_events(1)
        sequence()
        checkpoint = latest_checkpoint()
        reached.append(checkpoint.size)
        body = cosignature_of(node.pk, checkpoint)
        facts = {"key": body["key"], "origin": "portal.test/audit", "line": body["cosignature"]}
        Cosignature.objects.create(node=node.pk, size=checkpoint.size, made_at=checkpoint.at, **facts)
    assert {row.size for row in best_of_sites()} == set(reached[1:])  # of two nodes of a site, the one that is ahead
    assert quorum().size == reached[2]
    Node.objects.filter(pk=nodes[-1].pk).update(state="revoked")
    assert (quorum().sites, quorum().needed, quorum().size) == (3, 2, reached[2])


def test_two_sites_are_the_fewest() -> None:
    assert [quorum_of(sites) for sites in (0, 1, 2, 3, 4, 6, 7, 100)] == [2, 2, 2, 2, 3, 4, 5, 67]


def test_a_refusal_is_kept_and_told_once(world: World) -> None:
    sequence()
    checkpoint = latest_checkpoint()
    hand_in(world, cosignature_of(world.node.pk, checkpoint))
    body = {"code": "E_LOG_ROLLBACK", "seen": checkpoint.note, "offered": "what it was shown"}
    for _ in range(3):
        assert world.keys.send(world.node.pk, "POST", "log/refusals", body).status_code == 204
    assert WitnessRefusal.objects.count() == 1
    refused = Event.objects.get(action="registry:witness:refused")
    assert (refused.outcome, refused.site) == ("refused", str(world.site.pk))
    told = set(Notification.objects.filter(kind="log").values_list("person__name", flat=True))
    assert told == {world.site_admin.name, world.auditor.name, world.admin.name}

    answer = world.client("auditor").get(STATE).json()
    shown = Witness.read(answer["witnesses"][0])
    assert shown.refused is not None
    assert (shown.refused["code"], shown.node.name, shown.site.name) == (
        "E_LOG_ROLLBACK", world.node.name, world.site.name,
    )  # fmt: skip
    hand_in(world, cosignature_of(world.node.pk, _grown()))
    assert world.client("auditor").get(STATE).json()["witnesses"][0]["refused"] is None
    answer = world.keys.send(world.node.pk, "POST", "log/refusals", {**body, "code": "E_NODE"})
    assert code(answer) == (400, "E_INVALID")


def test_people_see_witnesses_of_the_sites_that_they_see(world: World) -> None:
    sequence()
    hand_in(world, cosignature_of(world.node.pk, latest_checkpoint()))
    for who, sees in {"pi": 1, "auditor": 1, "site_admin": 1, "stranger": 0}.items():
        answer = world.client(who).get(STATE).json()
        assert (len(answer["witnesses"]), answer["sites"], answer["needed"]) == (sees, 1, 2), who
        assert (answer["witnessed"], answer["size"]) == (0, latest_checkpoint().size), who


def test_what_witnesses_said_cannot_be_taken_back(world: World) -> None:
    sequence()
    hand_in(world, cosignature_of(world.node.pk, latest_checkpoint()))
    for change in (lambda: Cosignature.objects.all().delete(), lambda: Cosignature.objects.update(size=1)):
        with pytest.raises(DatabaseError, match="Cannot update or delete rows"), transaction.atomic():
            change()


def _grown() -> Checkpoint:
    write_events(1)
    sequence()
    return latest_checkpoint()
