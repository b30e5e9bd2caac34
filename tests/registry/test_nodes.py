"""Nodes from the first token to their revocation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Site, User
from accounts.roles import Role
from audit.models import Event
from fedstudy_core.errors import Conflict, FedStudyError, Forbidden, Invalid, NotFound, Refusal
from fedstudy_core.keys import six_words
from nodes.registry import selectors
from nodes.registry.models import EnrolmentToken, Node
from nodes.registry.services import (
    confirm_node,
    enrol_node,
    expect_node,
    note_heartbeat,
    renew_token,
    revoke_node,
    set_flower_node_id,
    take_sequence,
)
from nodes.registry.signals import node_confirmed, node_revoked
from nodes.registry.states import NODE
from tests.factories.accounts import UserFactory, holder_of, platform_admin
from tests.factories.registry import Hardware, active_node, frozen_node, pending_node
from tests.factories.studies import new_site

pytestmark = pytest.mark.django_db


@pytest.fixture
def home() -> tuple[Site, User]:
    return new_site()


def actions_of(node: Node) -> list[str]:
    events = Event.objects.filter(object_id=str(node.pk), action__startswith="registry:node:").order_by("pk")
    return [event.action.removeprefix("registry:node:") for event in events]


def node_in(state: str, home: tuple[Site, User]) -> Node:
    site, admin = home
    if state == "expected":
        return expect_node(site=site, name="node", by=admin)[0]
    node, _ = pending_node(site, admin, name=state)
    if state == "active":
        return confirm_node(node=node, words=node.words, by=admin)
    if state == "frozen":
        return frozen_node(site, admin)[0]
    return revoke_node(node=node, by=admin) if state == "revoked" else node


def test_a_node_enrols_and_is_confirmed(home: tuple[Site, User]) -> None:
    site, admin = home
    node, token = expect_node(site=site, name=" node-1 ", by=admin)
    assert (node.name, node.state, node.online, node.may_act) == ("node-1", "expected", False, False)
    hardware = Hardware.new()
    node = hardware.enrol(token)
    assert (node.state, node.agent_version, node.may_act) == ("pending", "1.0", False)
    assert node.words == six_words(*hardware.keys.values())
    node = confirm_node(node=node, words=f"  {node.words.upper()} ", by=admin)
    assert (node.state, node.confirmed_by, node.may_act) == ("active", admin, True)
    assert actions_of(node) == ["expected", "enrolled", "confirmed"]


def test_a_token_is_kept_as_a_digest_only(home: tuple[Site, User]) -> None:
    _, token = expect_node(site=home[0], name="node", by=home[1])
    assert token not in str(list(EnrolmentToken.objects.values()))
    assert token not in str(list(Event.objects.values()))


def test_tokens_that_are_no_good_look_alike(home: tuple[Site, User]) -> None:
    site, admin = home
    _, expired = expect_node(site=site, name="expired", by=admin)
    EnrolmentToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    _, used = expect_node(site=site, name="used", by=admin)
    Hardware.new().enrol(used)
    gone, revoked = expect_node(site=site, name="revoked", by=admin)
    revoke_node(node=gone, by=admin)
    waiting, replaced = expect_node(site=site, name="replaced", by=admin)
    renewed = renew_token(node=waiting, by=admin)
    answers = set()
    for token in (expired, used, revoked, replaced, "wrong" * 8, ""):
        with pytest.raises(Forbidden) as refused:
            Hardware.new().enrol(token)
        answers.add((refused.value.code, refused.value.detail, refused.value.status))
    assert len(answers) == 1
    assert answers.pop()[0] == "E_TOKEN"
    assert Hardware.new().enrol(renewed).state == "pending"


def test_a_token_is_good_for_a_day(home: tuple[Site, User]) -> None:
    expect_node(site=home[0], name="node", by=home[1])
    left = EnrolmentToken.objects.get().expires_at - timezone.now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)


def test_a_token_is_renewed_for_expected_nodes_only(home: tuple[Site, User]) -> None:
    node = node_in("pending", home)
    with pytest.raises(Conflict):
        renew_token(node=node, by=home[1])


def p256() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("E_KEY", {"identity_key": "no key"}),
        ("E_KEY", {"approval_key": ""}),
        ("E_KEY", {"flower_key": "no key"}),
        ("E_KEY", {"flower_key": p256()}),
        ("E_SIGNATURE", {"proof": "AAAA"}),
        ("E_SIGNATURE", {"proof": "not base64!"}),
        ("E_SIGNATURE", {"proof": "of another token"}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_bad_introduction_leaves_the_token_good(home: tuple[Site, User], code: str, change: dict[str, str]) -> None:
    node, token = expect_node(site=home[0], name="node", by=home[1])
    hardware = Hardware.new()
    proof = change.get("proof", hardware.proof(token))
    proof = hardware.proof("another") if proof == "of another token" else proof
    keys = hardware.keys | {name: value for name, value in change.items() if name != "proof"}
    with pytest.raises((Invalid, Forbidden)) as refused:
        enrol_node(token=token, name="itself", keys=keys, approver="", proof=proof, agent_version="1.0")
    assert refused.value.code == code
    assert Node.objects.get(pk=node.pk).state == "expected"
    assert hardware.enrol(token).state == "pending"


def test_one_key_for_both_purposes_is_refused(home: tuple[Site, User]) -> None:
    _, token = expect_node(site=home[0], name="node", by=home[1])
    hardware = Hardware.new()
    with pytest.raises(Invalid):
        replace(hardware, approval=hardware.identity).enrol(token)


@pytest.mark.parametrize("shared", ["identity", "flower"])
def test_every_node_has_its_own_keys(home: tuple[Site, User], shared: str) -> None:
    site, admin = home
    _, first = pending_node(site, admin)
    _, token = expect_node(site=site, name="second", by=admin)
    with pytest.raises(Conflict) as refused:
        replace(Hardware.new(), **{shared: getattr(first, shared)}).enrol(token)
    assert refused.value.code == "E_EXISTS"


def test_other_words_are_refused_and_noted(home: tuple[Site, User]) -> None:
    site, admin = home
    node, _ = pending_node(site, admin)
    for words in ("", "six other words that are wrong", node.words.rsplit(" ", 1)[0], node.words + " x"):
        with pytest.raises(Refusal) as refused:
            confirm_node(node=node, words=words, by=admin)
        assert refused.value.code == "E_WORDS"
    assert Node.objects.get(pk=node.pk).state == "pending"
    told = Event.objects.filter(action="registry:node:mismatched", outcome="refused", actor=f"user:{admin.pk}")
    assert told.count() == 4


def test_words_are_of_the_keys_not_of_the_row(home: tuple[Site, User]) -> None:
    site, admin = home
    node, _ = pending_node(site, admin)
    Node.objects.filter(pk=node.pk).update(words="one two three four five six")
    with pytest.raises(Refusal):
        confirm_node(node=node, words="one two three four five six", by=admin)


def refused_code(call: Any) -> str:
    with pytest.raises(FedStudyError) as refused:
        call()
    return refused.value.code


def test_who_looks_after_nodes(home: tuple[Site, User]) -> None:
    site, _ = home
    node = node_in("pending", home)
    steward, boss = holder_of(Role.STEWARD, site), platform_admin()
    other_admin, stranger = new_site()[1], UserFactory.create()
    enrolling = [
        lambda by: expect_node(site=site, name="x", by=by),
        lambda by: renew_token(node=node, by=by),
        lambda by: confirm_node(node=node, words=node.words, by=by),
    ]
    for call in enrolling:
        codes = [refused_code(lambda call=call, by=by: call(by)) for by in (steward, boss, other_admin, stranger)]
        assert codes == ["E_FORBIDDEN", "E_FORBIDDEN", "E_NOT_FOUND", "E_NOT_FOUND"]
    for by in (other_admin, stranger):
        with pytest.raises(NotFound):
            revoke_node(node=node, by=by)
    assert revoke_node(node=node, by=steward).state == "revoked"
    assert revoke_node(node=pending_node(*home, name="second")[0], by=boss).state == "revoked"


def test_names_are_unique_among_the_nodes_in_use(home: tuple[Site, User]) -> None:
    site, admin = home
    node, _ = expect_node(site=site, name="node", by=admin)
    with pytest.raises(Conflict):
        expect_node(site=site, name="Node", by=admin)
    for name in ("", " ", "x" * 81, "a\nb"):
        with pytest.raises(Invalid):
            expect_node(site=site, name=name, by=admin)
    revoke_node(node=node, by=admin)
    assert expect_node(site=site, name="node", by=admin)[0].pk != node.pk


SERVICES: dict[str, Any] = {
    "active": lambda node, by: confirm_node(node=node, words=node.words, by=by),
    "revoked": lambda node, by: revoke_node(node=node, by=by),
}


@pytest.mark.parametrize("old", NODE.states)
@pytest.mark.parametrize("new", SERVICES)
def test_every_move_that_people_make(home: tuple[Site, User], old: str, new: str) -> None:
    node = node_in(old, home)
    if NODE.allows(old, new):
        assert SERVICES[new](node, home[1]).state == new
    else:
        assert refused_code(lambda: SERVICES[new](node, home[1])) == "E_STATE"
        assert Node.objects.get(pk=node.pk).state == old


def test_others_hear_of_confirmed_and_revoked_nodes(home: tuple[Site, User]) -> None:
    heard = []

    def listen(**news: Any) -> None:
        heard.append((news["node_id"], news["site_id"], news["by"]))

    node_confirmed.connect(listen)
    node_revoked.connect(listen)
    try:
        node = node_in("active", home)
        revoke_node(node=node, by=home[1], reason="Lost.")
    finally:
        node_confirmed.disconnect(listen)
        node_revoked.disconnect(listen)
    assert heard == [(node.pk, home[0].pk, home[1])] * 2
    assert '"reason":"Lost."' in Event.objects.get(action="registry:node:revoked").detail


def test_a_reason_has_an_end(home: tuple[Site, User]) -> None:
    with pytest.raises(Invalid):
        revoke_node(node=node_in("active", home), reason="x" * 301, by=home[1])


def beat(node: Node, **changes: Any) -> Node:
    return note_heartbeat(**{"node": node, "agent_version": "1.0", "sandbox": "S1", "status": {}, **changes})


def test_heartbeats_are_noted_only_when_something_changed(home: tuple[Site, User]) -> None:
    node, _ = active_node(*home)
    start = len(actions_of(node))
    beat(node, status={"datasets": [], "clock": "2030-01-01T00:00:00Z"})
    assert actions_of(node)[start:] == ["changed", "clock_off", "came_online"]
    for _ in range(3):
        node = beat(node)
    assert node.online
    assert len(actions_of(node)) == start + 3
    beat(node, agent_version="1.1")
    beat(node, agent_version="1.1", sandbox="S0")
    assert actions_of(node)[start + 3 :] == ["changed", "changed"]
    Node.objects.filter(pk=node.pk).update(last_seen_at=timezone.now() - timedelta(seconds=31))
    assert not Node.objects.get(pk=node.pk).online
    beat(node, agent_version="1.1", sandbox="S0")
    assert actions_of(node)[start + 5 :] == ["came_online"]
    assert list(selectors.online_nodes()) == [node]


def test_a_clock_is_told_of_when_it_goes_wrong_and_when_it_is_right_again(home: tuple[Site, User]) -> None:
    node, _ = active_node(*home)
    beat(node)
    start = len(actions_of(node))
    for off_s in (4, -4, 90, 4, 90, -1, 4):
        beat(node, status={"clock": (timezone.now() + timedelta(seconds=off_s)).isoformat()})
    assert actions_of(node)[start:] == ["clock_off", "clock_right"]


@pytest.mark.parametrize("state", NODE.states)
def test_who_may_send_heartbeats(home: tuple[Site, User], state: str) -> None:
    node = node_in(state, home)
    if state in ("pending", "active"):
        assert beat(node).online == (state == "active")
    else:
        assert refused_code(lambda: beat(node)) == "E_NODE"


def test_a_request_counts_once(home: tuple[Site, User]) -> None:
    node, _ = active_node(*home)
    for sequence in (1, 5, 6):
        take_sequence(node=node, sequence=sequence)
    for sequence in (6, 5, 2, 0, -1):
        with pytest.raises(Forbidden) as refused:
            take_sequence(node=node, sequence=sequence)
        assert refused.value.code == "E_SEQ"
    assert Node.objects.get(pk=node.pk).last_sequence == 6


def test_the_flower_id_is_noted_once(home: tuple[Site, User]) -> None:
    node, _ = active_node(*home)
    for _ in range(2):
        assert set_flower_node_id(node=node, flower_node_id="77", by="system:engine").flower_node_id == "77"
    assert actions_of(node).count("connected") == 1


def test_who_sees_nodes(home: tuple[Site, User]) -> None:
    site, admin = home
    node, other = node_in("active", home), node_in("active", new_site())
    assert list(selectors.visible_to(admin)) == [node]
    assert list(selectors.visible_to(holder_of(Role.STEWARD, site))) == [node]
    assert set(selectors.visible_to(platform_admin())) == {node, other}
    assert not selectors.visible_to(UserFactory.create()).exists()
    assert list(selectors.active_nodes(site.pk)) == [node]


@pytest.mark.parametrize(
    "change",
    [{"identity_key": ""}, {"words": ""}, {"confirmed_by": None}, {"confirmed_at": None}, {"last_sequence": -1}],
    ids=str,
)
def test_the_database_holds_an_active_node_together(home: tuple[Site, User], change: dict[str, Any]) -> None:
    node, _ = active_node(*home)
    with pytest.raises(IntegrityError), transaction.atomic():
        Node.objects.filter(pk=node.pk).update(**change)


@pytest.mark.parametrize("name", ["", "node 1", "a;reboot", "$(id)", "-x", ".hidden", "nœud", "n" * 64, "a\nb"])
def test_a_name_that_a_command_would_misread_is_refused(home: tuple[Site, User], name: str) -> None:
    site, admin = home
    with pytest.raises(Invalid) as refused:
        expect_node(site=site, name=name, by=admin)
    assert [problem.field for problem in refused.value.errors] == ["name"]
