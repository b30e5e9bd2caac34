"""Nodes from the first token to the last request: expecting, enrolling, confirming, hearing from them, revoking."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Site, User
from accounts.permissions import Permission, check
from audit.services import record
from fedstudy_core.canonical import digest
from fedstudy_core.errors import Conflict, Forbidden, Invalid, Refusal
from fedstudy_core.naming import check_node_name
from fedstudy_core.rotation import Rotation
from nodes.registry import boots, states
from nodes.registry.keys import NodeKeys, checked_approvers, console_approver
from nodes.registry.logged_keys import log_keys
from nodes.registry.models import EnrolmentToken, Node, RetiredKeys
from nodes.registry.signals import node_confirmed, node_frozen, node_revoked, node_rotated, node_seen

TOKEN_LIFE = timedelta(hours=24)
HEARD = ("pending", "active")
NAME_LENGTH, VERSION_LENGTH, SANDBOX_LENGTH, REASON_LENGTH = 80, 40, 10, 300
MOST_APPROVERS = 50
CLOCK_OFF_S, CLOCK_RIGHT_S = 5, 2  # a clock that is off is told of again once it is right


@transaction.atomic
def expect_node(*, site: Site, name: str, by: User) -> tuple[Node, str]:
    """Announce a node that is to be installed.

    Returns:
        The node and its one-time token, good for 24 hours and never shown again.

    Raises:
        Forbidden: E_FORBIDDEN.
        Invalid: E_INVALID.
        Conflict: E_EXISTS for a name that another node of the site has.
    """
    check(by, Permission.NODE_ENROL, site)
    name = check_node_name(name.strip())
    Site.objects.select_for_update().get(pk=site.pk)
    if Node.objects.filter(site=site, name__iexact=name).exclude(state="revoked").exists():
        raise Conflict("E_EXISTS", f"{site.name} has a node “{name}” already.")
    node = Node.objects.create(site=site, name=name, created_by=by)
    token = _new_token(node)
    _record("expected", node, by)
    return node, token


@transaction.atomic
def renew_token(*, node: Node, by: User) -> str:
    """A new one-time token for a node that has not enrolled yet, or that is frozen; the old one is void.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE when the node needs no token.
    """
    node = _locked(node)
    check(by, Permission.NODE_ENROL, node.site)
    if node.state not in (states.NODE.initial, "frozen"):
        raise Conflict("E_STATE", f"This node is {node.state}; only an expected or frozen node needs a token.")
    node.tokens.filter(used_at=None).delete()
    token = _new_token(node)
    _record("expected" if node.state == states.NODE.initial else "token_made", node, by)
    return token


def _new_token(node: Node) -> str:
    token = secrets.token_hex(32)
    EnrolmentToken.objects.create(node=node, digest=digest(token.encode()), expires_at=timezone.now() + TOKEN_LIFE)
    return token


@transaction.atomic
def enrol_node(
    *, token: str, name: str, keys: Mapping[str, str], approver: str, proof: str, agent_version: str
) -> Node:
    """Take in a node that holds a one-time token; a person must still confirm its six words.

    Args:
        name: what the node calls itself; the site admin's name for it stays.
        keys: the public keys, by `identity_key`, `flower_key` and `approval_key`.
        approver: who holds the approval key.
        proof: the identity key's signature over the token, in Base64.

    Raises:
        Forbidden: E_TOKEN for a token that is wrong, used or expired (one answer for all); E_SIGNATURE.
        Invalid: E_KEY.
        Conflict: E_EXISTS for keys that another node has.
    """
    stored = _spendable(token, state=states.NODE.initial)
    brought = NodeKeys(**keys)
    brought.check()
    brought.check_proof(proof, token)
    _check_unused(brought)
    person = console_approver(approver.strip() or name, brought.approval_key)
    node = _locked(stored.node)
    stored.used_at = node.enrolled_at = timezone.now()
    stored.save(update_fields=["used_at"])
    states.NODE.move(node, "pending")
    for field, text in keys.items():
        setattr(node, field, text)
    node.approvers = [person]
    node.words, node.agent_version = brought.words, agent_version[:VERSION_LENGTH]
    node.save()
    log_keys(node, node)
    _record("enrolled", node, node, calls_itself=name[:NAME_LENGTH], agent_version=node.agent_version)
    return node


@transaction.atomic
def set_approvers(*, node: Node, approvers: Sequence[Mapping[str, Any]]) -> Node:
    """Note who may sign at a node, as the node itself says; saying the same again changes nothing.

    Raises:
        Invalid: E_INVALID, E_KEY.
    """
    told = checked_approvers(approvers)
    if not 1 <= len(told) <= MOST_APPROVERS:
        raise Invalid("E_INVALID", f"A node has 1 to {MOST_APPROVERS} approvers.")
    node = _locked(node)
    changed, node.approvers = node.approvers != told, told
    log_keys(node, node)
    if changed:
        node.save(update_fields=["approvers"])
        _record("approvers", node, node, people=", ".join(f"{entry['name']} ({entry['role']})" for entry in told))
    return node


def _check_unused(brought: NodeKeys) -> None:
    """Raises Conflict E_EXISTS for keys that any node has or ever had."""
    known = Q(identity_key=brought.identity_key) | Q(flower_key=brought.flower_key)
    if Node.objects.filter(known).exists() or RetiredKeys.objects.filter(known).exists():
        raise Conflict("E_EXISTS", "A node has or had these keys; every node makes its own, and new ones each time.")


def _spendable(token: str, *, state: str) -> EnrolmentToken:
    """The row, locked, of a token for a node in that state. Only its digest is looked up, in constant time."""
    wanted = digest(token.encode())
    stored = EnrolmentToken.objects.select_for_update(of=("self",)).select_related("node").filter(digest=wanted).first()
    matches = hmac.compare_digest(stored.digest if stored else "0" * 64, wanted)
    if stored is None or not matches or stored.used_at is not None or stored.expires_at <= timezone.now():
        raise Forbidden("E_TOKEN")
    if stored.node.state != state:
        raise Forbidden("E_TOKEN")
    return stored


def confirm_node(*, node: Node, words: str, by: User) -> Node:
    """Trust a node, after a person compared the six words on its console with these; also one that was frozen.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE when the node has not enrolled, or was confirmed or revoked.
        Refusal: E_WORDS; the try is noted in the audit log.
    """
    check(by, Permission.NODE_ENROL, node.site)
    try:
        return _confirm(node, words, by)
    except Refusal as refusal:
        with transaction.atomic():
            _record("mismatched", node, by, outcome="refused", code=refusal.code)
        raise


@transaction.atomic
def _confirm(node: Node, words: str, by: User) -> Node:
    node = _locked(node)
    old = states.NODE.move(node, "active")
    shown = NodeKeys(node.identity_key, node.flower_key, node.approval_key).words
    if not hmac.compare_digest(" ".join(words.lower().split()).encode(), shown.encode()):
        raise Refusal("E_WORDS")
    node.confirmed_at, node.confirmed_by, node.boots = timezone.now(), by, []
    node.save(update_fields=["state", "confirmed_at", "confirmed_by", "boots"])
    _record("confirmed", node, by, old=old)
    node_confirmed.send(sender=Node, node_id=node.pk, site_id=node.site_id, by=by)
    return node


@transaction.atomic
def rotate_node(*, node: Node, keys: Mapping[str, str], proofs: Mapping[str, str], token: str = "") -> Node:
    """Replace a node's own keys, at the request of the node itself, signed by the key that is replaced.

    Args:
        keys: the new public keys, `identity_key` and `flower_key`.
        proofs: the new private keys' signatures over the rotation (`fedstudy_core.rotation`).
        token: a one-time token, for a node that is frozen: the old key alone may be anybody's.

    Raises:
        Forbidden: E_NODE for a node that is not active, or frozen without a token; E_TOKEN; E_SIGNATURE.
        Invalid: E_KEY.
        Conflict: E_EXISTS for keys that any node has or had.
    """
    node = _locked(node)
    if node.state == "frozen" and token:
        _spend_for(node, token)
    elif not node.may_act:
        raise Forbidden("E_NODE", node.standing)
    new = NodeKeys(keys["identity_key"], keys["flower_key"], node.approval_key)
    new.check()
    Rotation(str(node.pk), node.identity_key, new.identity_key, new.flower_key).check(**proofs)
    _check_unused(new)
    log_keys(node, node)
    old = NodeKeys(node.identity_key, node.flower_key, node.approval_key)
    now = timezone.now()
    RetiredKeys.objects.create(
        node=node, identity_key=old.identity_key, flower_key=old.flower_key, words=old.words, retired_at=now
    )
    if node.state == "frozen":
        states.NODE.move(node, "active")
    node.identity_key, node.flower_key, node.words = new.identity_key, new.flower_key, new.words
    node.rotated_at, node.flower_node_id, node.boots = now, "", []
    node.save()
    log_keys(node, node)
    _record("rotated", node, node, old_key=old.identity_key, key=new.identity_key, words=new.words)
    node_rotated.send(sender=Node, node_id=node.pk, site_id=node.site_id, by=node)
    return node


def _spend_for(node: Node, token: str) -> None:
    """Use up a frozen node's token. Raises Forbidden E_TOKEN."""
    stored = _spendable(token, state="frozen")
    if stored.node_id != node.pk:
        raise Forbidden("E_TOKEN")
    stored.used_at = timezone.now()
    stored.save(update_fields=["used_at"])


@transaction.atomic
def revoke_node(*, node: Node, reason: str = "", by: User) -> Node:
    """Trust a node no more, for good. Its datasets are withdrawn and its approvals end.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE when it was revoked before.
        Invalid: E_INVALID for a reason that is too long.
    """
    node = _locked(node)
    check(by, Permission.NODE_REVOKE, node.site)
    if len(reason) > REASON_LENGTH:
        raise Invalid("E_INVALID", f"A reason has at most {REASON_LENGTH} characters.")
    old = states.NODE.move(node, "revoked")
    node.revoked_at = timezone.now()
    node.save(update_fields=["state", "revoked_at"])
    node.tokens.filter(used_at=None).delete()
    log_keys(node, by)
    _record("revoked", node, by, old=old, reason=reason)
    node_revoked.send(sender=Node, node_id=node.pk, site_id=node.site_id, by=by)
    return node


@transaction.atomic
def set_flower_node_id(*, node: Node, flower_node_id: str, by: Any) -> Node:
    """Note under which id the SuperLink knows the node."""
    node = _locked(node)
    if node.flower_node_id != flower_node_id:
        node.flower_node_id = flower_node_id
        node.save(update_fields=["flower_node_id"])
        _record("connected", node, by, flower_node_id=flower_node_id)
    return node


def take_sequence(*, node: Node, sequence: int) -> None:
    """Use up a request's sequence number: each must be higher than all before.

    Raises:
        Forbidden: E_SEQ for a request that was seen before.
    """
    taken = Node.objects.filter(pk=node.pk, last_sequence__lt=sequence).update(last_sequence=sequence)
    if not taken:
        raise Forbidden("E_SEQ")
    node.last_sequence = sequence


def note_heartbeat(
    *, node: Node, agent_version: str, sandbox: str, status: Mapping[str, Any], boot: str = "", sequence: int = 0
) -> Node:
    """Note that a node was heard of. Only what is new goes into the audit log: coming online, version, sandbox, pauses.

    Args:
        status: what else the node says of itself: `datasets` (id and fingerprint of each), its `clock`, `paused`
            (since when and why, or None), `vetoes` (ids of runs) and `levels` (by study).
        boot: which start of the agent speaks. When two take turns, the node is frozen.
        sequence: of the request.

    Raises:
        Forbidden: E_NODE for a node that was revoked or is frozen, from now on or before.
    """
    new = (agent_version[:VERSION_LENGTH], sandbox[:SANDBOX_LENGTH])
    with transaction.atomic():
        node = _locked(node)
        if node.state in HEARD:
            node.boots, cloned = boots.hear(node.boots, boot, sequence=sequence, now=timezone.now())
            _freeze(node) if cloned and node.state == "active" else _note(node, new, status)
    if node.state not in HEARD:
        raise Forbidden("E_NODE", node.standing)
    return node


def _note(node: Node, new: tuple[str, str], status: Mapping[str, Any]) -> None:
    """Keep what a heartbeat said; `new` is the agent's version and sandbox level."""
    now = timezone.now()
    was_online, seen_before, was_paused = node.online, node.last_seen_at, node.paused
    changed = (node.agent_version, node.sandbox) != new
    node.agent_version, node.sandbox = new
    off, was_off = _clock_off(status.get("clock"), now), bool(node.status.get("clock_is_off"))
    is_off = abs(off) > (CLOCK_RIGHT_S if was_off else CLOCK_OFF_S) if off is not None else was_off
    node.status, node.last_seen_at = {**status, "clock_off_s": off, "clock_is_off": is_off}, now
    node.save(update_fields=["agent_version", "sandbox", "status", "last_seen_at", "boots"])
    node_seen.send(sender=Node, node_id=node.pk, site_id=node.site_id)
    if changed:
        _record("changed", node, node, agent_version=node.agent_version, sandbox=node.sandbox)
    if is_off != was_off:
        _record("clock_off" if is_off else "clock_right", node, node, seconds=str(off))
    if node.state == "active" and not was_online:
        _record("came_online", node, node, silent_since=seen_before.isoformat() if seen_before else "")
    if node.paused and not was_paused:
        _record("paused", node, node, reason=str(node.paused["reason"]))
    if was_paused and not node.paused:
        _record("resumed", node, node)


def _freeze(node: Node) -> None:
    old = states.NODE.move(node, "frozen")
    node.save(update_fields=["state", "boots"])
    _record("frozen", node, node, outcome="refused", old=old)
    node_frozen.send(sender=Node, node_id=node.pk, site_id=node.site_id, by=node)


def _clock_off(clock: object, now: datetime) -> int | None:
    """By how many seconds a clock is ahead; None for what is no time."""
    try:
        return round((datetime.fromisoformat(str(clock)) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _locked(node: Node) -> Node:
    return Node.objects.select_for_update(of=("self",)).select_related("site").get(pk=node.pk)


def _record(verb: str, node: Node, by: Any, *, outcome: str = "done", **detail: str) -> None:
    action = f"registry:node:{verb}"
    record(action=action, actor=by, obj=node, site=node.site_id, outcome=outcome, detail=detail)
