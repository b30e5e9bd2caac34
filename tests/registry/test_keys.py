"""A node's keys in use: replaced by itself, frozen when two agents use them, let in again by people."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Site, User
from accounts.roles import Role
from audit.models import Event
from fedstudy_core.errors import FedStudyError
from fedstudy_core.keys import generate, key_id, public_text, six_words
from fedstudy_core.rotation import Rotation
from nodes.registry.models import Node, RetiredKeys
from nodes.registry.services import (
    confirm_node,
    expect_node,
    note_heartbeat,
    renew_token,
    revoke_node,
    rotate_node,
    set_approvers,
)
from nodes.registry.signals import node_frozen, node_rotated
from tests.factories.accounts import holder_of
from tests.factories.registry import Hardware, frozen_node, pending_node
from tests.factories.studies import new_site
from tests.triggers import past_triggers

pytestmark = pytest.mark.django_db


@pytest.fixture
def home() -> tuple[Site, User]:
    return new_site()


@pytest.fixture
def active(home: tuple[Site, User]) -> tuple[Node, Hardware]:
    node, hardware = pending_node(*home)
    return confirm_node(node=node, words=node.words, by=home[1]), hardware


def code_of(call: Any) -> str:
    with pytest.raises(FedStudyError) as refused:
        call()
    return refused.value.code


def beat(node: Node, boot: str, sequence: int, **status: Any) -> Node:
    return note_heartbeat(
        node=node, agent_version="1.0", sandbox="S1", status=status, boot=boot * 32, sequence=sequence
    )


def last_event(node: Node) -> Event:
    return Event.objects.filter(object_id=str(node.pk)).latest("pk")


def heard_by(signal: Any, call: Any) -> list[Any]:
    news: list[Any] = []

    def listen(**facts: Any) -> None:
        news.append(facts["node_id"])

    signal.connect(listen)
    try:
        call()
    finally:
        signal.disconnect(listen)
    return news


def test_a_node_replaces_its_keys(active: tuple[Node, Hardware]) -> None:
    node, old = active
    new = Hardware.new()
    assert heard_by(node_rotated, lambda: old.rotate(node, new)) == [node.pk]
    changed = Node.objects.get(pk=node.pk)
    assert (changed.identity_key, changed.flower_key) == (new.keys["identity_key"], new.keys["flower_key"])
    assert changed.approval_key == old.keys["approval_key"], "approvers are people; their keys stay"
    assert changed.words == six_words(new.keys["identity_key"], new.keys["flower_key"], old.keys["approval_key"])
    assert (changed.state, changed.flower_node_id) == ("active", "")
    event = last_event(node)
    assert event.action == "registry:node:rotated"
    assert all(key in event.detail for key in (old.keys["identity_key"], new.keys["identity_key"], changed.words))


def test_what_was_signed_before_stays_verifiable(active: tuple[Node, Hardware]) -> None:
    node, old = active
    before = timezone.now()
    changed = old.rotate(node, Hardware.new())
    assert changed.identity_keys(since=before) == [changed.identity_key, old.keys["identity_key"]]
    assert changed.identity_keys(since=timezone.now() + timedelta(seconds=1)) == [changed.identity_key]


def test_a_key_that_was_replaced_is_nobodys_any_more(home: tuple[Site, User], active: tuple[Node, Hardware]) -> None:
    node, old = active
    second = Hardware.new()
    changed = old.rotate(node, second)
    assert code_of(lambda: second.rotate(changed, old)) == "E_EXISTS"
    _, token = expect_node(site=home[0], name="another", by=home[1])
    assert code_of(lambda: replace(Hardware.new(), flower=old.flower).enrol(token)) == "E_EXISTS"


def test_both_new_keys_are_proved(active: tuple[Node, Hardware]) -> None:
    node, old = active
    new, stranger = Hardware.new(), Hardware.new()
    keys = {name: new.keys[name] for name in ("identity_key", "flower_key")}
    rotation = Rotation(str(node.pk), old.keys["identity_key"], **keys)
    another = replace(rotation, node=str(uuid.uuid4()))
    for proofs in (
        rotation.prove(stranger.identity, new.flower),
        rotation.prove(new.identity, stranger.flower),
        another.prove(new.identity, new.flower),
        {"identity_proof": "?", "flower_proof": ""},
    ):
        assert code_of(lambda proofs=proofs: rotate_node(node=node, keys=keys, proofs=proofs)) == "E_SIGNATURE"
    assert not RetiredKeys.objects.exists()
    rotate_node(node=node, keys=keys, proofs=rotation.prove(new.identity, new.flower))


def test_who_may_replace_keys(home: tuple[Site, User], active: tuple[Node, Hardware]) -> None:
    node, old = active
    waiting, hardware = pending_node(*home, name="waiting")
    assert code_of(lambda: hardware.rotate(waiting, Hardware.new())) == "E_NODE"
    revoke_node(node=node, by=home[1])
    assert code_of(lambda: old.rotate(node, Hardware.new())) == "E_NODE"


def test_two_agents_with_one_key_freeze_the_node(active: tuple[Node, Hardware]) -> None:
    node, _ = active
    beat(node, "a", 1)
    beat(node, "b", 2)
    news = heard_by(node_frozen, lambda: code_of(lambda: beat(node, "a", 3)))
    assert news == [node.pk]
    assert (last_event(node).action, last_event(node).outcome) == ("registry:node:frozen", "refused")
    frozen = Node.objects.get(pk=node.pk)
    assert (frozen.state, frozen.may_act, frozen.online) == ("frozen", False, False)
    assert code_of(lambda: beat(node, "b", 4)) == "E_NODE"


def test_a_pending_node_is_not_frozen(home: tuple[Site, User]) -> None:
    node, _ = pending_node(*home)
    for sequence, boot in enumerate("abab", start=1):
        assert beat(node, boot, sequence).state == "pending"


def test_words_let_a_frozen_node_work_again(home: tuple[Site, User]) -> None:
    node, _ = frozen_node(*home)
    assert code_of(lambda: confirm_node(node=node, words="one two three four five six", by=home[1])) == "E_WORDS"
    assert confirm_node(node=node, words=node.words, by=home[1]).state == "active"
    assert beat(node, "a", 10).online
    assert beat(node, "c", 11).online


def test_a_token_and_new_keys_let_a_frozen_node_work_again(home: tuple[Site, User]) -> None:
    node, old = frozen_node(*home)
    assert code_of(lambda: old.rotate(node, Hardware.new())) == "E_NODE"
    assert code_of(lambda: old.rotate(node, Hardware.new(), token="no such token")) == "E_TOKEN"
    token = renew_token(node=node, by=home[1])
    assert code_of(lambda: Hardware.new().enrol(token)) == "E_TOKEN", "it opens nothing but this node's rotation"
    new = Hardware.new()
    assert old.rotate(node, new, token=token).state == "active"
    assert code_of(lambda: new.rotate(Node.objects.get(pk=node.pk), old, token=token)) == "E_EXISTS"


def test_a_frozen_nodes_token_is_of_that_node(home: tuple[Site, User]) -> None:
    first, old = frozen_node(*home, name="first")
    second, _ = frozen_node(*home, name="second")
    token = renew_token(node=second, by=home[1])
    assert code_of(lambda: old.rotate(first, Hardware.new(), token=token)) == "E_TOKEN"
    assert code_of(lambda: renew_token(node=first, by=holder_of(Role.STEWARD, home[0]))) == "E_FORBIDDEN"


def test_pauses_and_the_clock_are_noted(active: tuple[Node, Hardware]) -> None:
    node, _ = active
    ahead = (timezone.now() + timedelta(seconds=90)).isoformat()
    pause = {"since": "2030-01-01T00:00:00Z", "reason": "audit"}
    told = beat(node, "a", 1, clock=ahead, paused=pause, vetoes=["some run"])
    assert told.clock_off_s in (89, 90)
    assert (told.declines("some run"), last_event(node).action) == ("E_PAUSED", "registry:node:paused")
    assert "audit" in last_event(node).detail
    told = beat(node, "a", 2, clock="no time", paused=None, vetoes=["some run"])
    assert (told.clock_off_s, last_event(node).action) == (None, "registry:node:resumed")
    assert (told.declines("some run"), told.declines("another")) == ("E_VETO", "")


def keys_in_log(node: Node) -> dict[str, str]:
    """What the log says of the node's keys: each one's last word."""
    rows = Event.objects.filter(object_id=str(node.pk), action__startswith="registry:key:").order_by("pk")
    return {json.loads(row.detail)["key"]: row.action.rpartition(":")[2] for row in rows}


def test_the_log_says_which_keys_count(home: tuple[Site, User], active: tuple[Node, Hardware]) -> None:
    node, old = active
    own, person = (key_id(key.public_key()) for key in (old.identity, old.approval))
    assert keys_in_log(node) == {own: "registered", person: "registered"}
    count = Event.objects.count()
    set_approvers(node=node, approvers=node.approvers)
    assert Event.objects.count() == count, "what was said is not said again"
    second = generate()
    other = {"kind": "console", "name": "Sam Demo", "role": "data steward", "key": public_text(second.public_key())}
    node = set_approvers(node=node, approvers=[other])
    steward = key_id(second.public_key())
    assert keys_in_log(node) == {own: "registered", person: "withdrawn", steward: "registered"}
    set_approvers(node=node, approvers=[{**other, "role": "site admin"}])
    told = Event.objects.filter(object_id=str(node.pk), action="registry:key:registered").latest("pk")
    assert json.loads(told.detail)["role"] == "site admin", "the same key in another role is said anew"
    new = Hardware.new()
    node = old.rotate(node, new)
    assert keys_in_log(node)[own] == "withdrawn"
    assert keys_in_log(node)[key_id(new.identity.public_key())] == "registered"
    revoke_node(node=node, by=home[1])
    assert set(keys_in_log(node).values()) == {"withdrawn"}


def test_keys_of_before_are_told_of_when_their_node_speaks_next(active: tuple[Node, Hardware]) -> None:
    """Of a node that enrolled when the log did not say such things; also the key that it replaces at once."""
    node, old = active
    with past_triggers(Event):
        Event.objects.filter(action__startswith="registry:key:").delete()
    assert keys_in_log(node) == {}
    node = old.rotate(node, Hardware.new())
    assert sorted(keys_in_log(node).values()) == ["registered", "registered", "withdrawn"]
