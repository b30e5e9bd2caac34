"""Attempts under standing policies: the node's own signature counts only while a policy of its people covers it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import bundle as bundles
from fedstudy_core import canonical, dsse, keys
from fedstudy_core.policy import PAYLOAD_TYPE
from fedstudy_core.statement import STANDING_POLICY
from fedstudy_node.approvals import Approvals, Limits, build_statement
from fedstudy_node.datasets import Datasets
from fedstudy_node.policies import build_policy
from fedstudy_node.trust import Trust
from tests.factories.agent import STUDY, approval_key
from tests.security.hospital import ADMIN, FAB, OTHER_ID, OTHER_SHA, Attempt, Hospital, payload_of, reseal, seal

LIMITS = Limits(min_sites=1, sandbox_min="S0", rounds=5, max_norm=9, max_bytes=10**6, wall_s=60, memory_mb=600, days=30)

# What the node's statement asks for beyond its policy.
WIDER: list[tuple[str, Any]] = [
    ("rounds", 6),
    ("privacy", {"min_sites": 1, "min_rows": 1}),
    ("outputs", {"phases": ["query", "train", "evaluate"], "max_bytes": 10**6 + 1, "max_norm": 9, "metrics": ["mean"]}),
    ("outputs", {"phases": ["query", "train", "evaluate"], "max_bytes": 10**6, "max_norm": 10, "metrics": ["mean"]}),
    ("outputs", {"phases": ["query", "train", "evaluate"], "max_bytes": 10**6, "metrics": ["mean"]}),
    ("limits", {"wall_s": 61, "memory_mb": 600}),
    ("limits", {"wall_s": 60, "memory_mb": 601}),
]
# What the policy itself covers instead.
ELSEWHERE: list[tuple[str, Any]] = [
    ("study", OTHER_ID),
    ("site", OTHER_ID),
    ("node", OTHER_ID),
    ("scripts", [OTHER_SHA]),
    ("dataset", {"id": OTHER_ID, "fingerprint": OTHER_SHA}),
    ("rounds", 4),
    ("privacy", {"min_sites": 3, "min_rows": 2}),
    ("outputs", {"phases": ["query"], "max_bytes": 10**6, "max_norm": 9}),
    ("outputs", {"phases": ["query", "train", "evaluate"], "max_bytes": 10**6, "max_norm": 9, "metrics": ["auc"]}),
    ("sandbox_min", "S4"),
]


def policy_payload(hospital: Hospital, **changed: Any) -> dict[str, Any]:
    """A policy for the tests' script, as its people would write it."""
    made = build_policy(
        hospital.home,
        dataset=hospital.node.dataset,
        limits=LIMITS,
        scripts=[bundles.inspect(FAB).sha256],
        approvers=[ADMIN],
        sequence=1,
    )
    return made.model_dump(mode="json", exclude_none=True) | changed


def node_statement(hospital: Hospital, policy: dict[str, Any], **changed: Any) -> bytes:
    """What the node signs under a policy."""
    own = next(iter(Trust(hospital.home).by_policy().values()))
    made = build_statement(
        settings=hospital.home.settings(),
        study=STUDY,
        bundle=bundles.inspect(FAB),
        dataset=hospital.node.dataset,
        limits=replace(LIMITS, days=1),
        decision="approved",
        approvers=[{"key": own.id, "name": own.name, "role": own.role}],
        sequence=2,
        epoch=0,
        policy=canonical.digest(canonical.dumps(policy)),
    )
    payload = made.model_dump(mode="json", exclude_none=True) | changed
    return seal(payload, hospital.home.identity_key())


def keep(policy: dict[str, Any], *signers: Ed25519PrivateKey, envelope: bytes = b"") -> Callable[[Hospital], None]:
    """Have the node hold the policy, whoever signed it."""
    sealed = envelope or dsse.sign(PAYLOAD_TYPE, canonical.dumps(policy), signers or (approval_key(),))
    name = f"{canonical.digest(canonical.dumps(policy))}.json"

    def prepare(at: Hospital) -> None:
        (at.home.path / "policies").mkdir(exist_ok=True)
        (at.home.path / "policies" / name).write_bytes(sealed)

    return prepare


def covered(hospital: Hospital) -> Attempt:
    """The positive control: a policy covers the script, so it runs."""
    policy = policy_payload(hospital)
    return Attempt("covered by a policy", "", node_statement(hospital, policy), prepare=keep(policy))


def standing_attempts(hospital: Hospital) -> Iterator[Attempt]:
    """Statements by the node under policies that do not cover them, do not hold, or are not there."""
    policy = policy_payload(hospital)
    good = node_statement(hospital, policy)
    yield Attempt("policy: none", "E_POLICY", good)
    for name, value in WIDER:
        asked = policy if name != "privacy" else policy_payload(hospital, privacy={"min_sites": 2, "min_rows": 1})
        yield Attempt(f"policy: wider {name} {value}", "E_POLICY",
                      node_statement(hospital, asked, **{name: value}), prepare=keep(asked))  # fmt: skip
    for name, value in ELSEWHERE:
        other = policy_payload(hospital, **{name: value})
        yield Attempt(f"policy: for {name} {value}", "E_POLICY", node_statement(hospital, other), prepare=keep(other))
    late = {"not_after": "2099-01-01T00:00:00Z"}
    yield Attempt("policy: longer than it", "E_POLICY", node_statement(hospital, policy, **late), prepare=keep(policy))
    yield from _over(hospital, policy, good)
    yield from _of_others(hospital, policy, good)


def _over(hospital: Hospital, policy: dict[str, Any], good: bytes) -> Iterator[Attempt]:
    """Policies that were revoked, are over, or not yet in force."""
    identity = canonical.digest(canonical.dumps(policy))

    def and_revoke(at: Hospital) -> None:
        keep(policy)(at)
        Approvals(at.home).revoke(identity, "")

    def and_void_all(at: Hospital) -> None:
        keep(policy)(at)
        Approvals(at.home).revoke_all()

    yield Attempt("policy: revoked", "E_REVOKED", good, prepare=and_revoke)
    yield Attempt("policy: of an older epoch", "E_REVOKED_EPOCH", good, prepare=and_void_all)
    far = {"deadline": "2099-01-01T00:00:00+00:00"}
    for days in (31, 90):
        yield Attempt(
            f"policy: after {days} days", "E_EXPIRED", good, far, later=timedelta(days=days), prepare=keep(policy)
        )
    yield Attempt("policy: a day before", "E_NOT_YET", good, far, later=timedelta(days=-1), prepare=keep(policy))
    long = policy_payload(hospital, not_after="2199-01-01T00:00:00Z")
    yield Attempt("policy: for ever", "E_TOO_LONG", node_statement(hospital, long), prepare=keep(long))


def _of_others(hospital: Hospital, policy: dict[str, Any], good: bytes) -> Iterator[Attempt]:
    """Policies and statements that somebody else signed."""
    stranger, own = keys.generate(), hospital.home.identity_key()
    yield Attempt("policy: by a stranger", "E_NO_TRUSTED_SIGNATURE", good, prepare=keep(policy, stranger))
    yield Attempt("policy: by the node itself", "E_NO_TRUSTED_SIGNATURE", good, prepare=keep(policy, own))
    yield Attempt("policy: by another person", "E_SIGNERS", good, prepare=keep(policy, hospital.steward_key))
    both = (approval_key(), hospital.steward_key)
    yield Attempt("policy: by one too many", "E_SIGNERS", good, prepare=keep(policy, *both))
    altered = reseal({**policy, "rounds": 500}, dsse.sign(PAYLOAD_TYPE, canonical.dumps(policy), [approval_key()]))
    yield Attempt("policy: altered", "E_POLICY", good, prepare=keep(policy, envelope=altered))
    wider = policy_payload(hospital, rounds=500)
    swapped = dsse.sign(PAYLOAD_TYPE, canonical.dumps(wider), [approval_key()])
    yield Attempt("policy: another in its file", "E_POLICY", good, prepare=keep(policy, envelope=swapped))
    yield Attempt("policy: an approval in its file", "E_POLICY", good, prepare=keep(policy, envelope=good))
    yield Attempt("policy: nothing in its file", "E_ENVELOPE", good, prepare=keep(policy, envelope=b"{}"))
    payload = payload_of(good)
    yield Attempt("policy: a person for the node", "E_SIGNERS", seal(payload), prepare=keep(policy))
    yield Attempt(
        "policy: a stranger for the node", "E_NO_TRUSTED_SIGNATURE", seal(payload, stranger), prepare=keep(policy)
    )
    person = {**payload, "approvers": [{**ADMIN, "role": STANDING_POLICY}]}
    yield Attempt("policy: a person as the node", "E_SIGNERS", seal(person), prepare=keep(policy))
    named = {**payload, "approvers": [ADMIN]}
    yield Attempt("policy: a person and a policy", "E_FIELDS", seal(named), prepare=keep(policy))
    bare = {name: value for name, value in payload.items() if name != "policy"}
    yield Attempt("policy: the node without one", "E_FIELDS", seal(bare, own), prepare=keep(policy))
    own_name = {**json.loads(json.dumps(bare)), "approvers": [{**payload["approvers"][0], "role": "site admin"}]}
    yield Attempt("policy: the node as an admin", "E_SIGNERS", seal(own_name, own), prepare=keep(policy))

    def for_two(at: Hospital) -> None:
        keep(policy)(at)
        Datasets(at.home).add(replace(at.node.dataset, people=2))

    yield Attempt("policy: of one person where two are asked for", "E_SECOND_PERSON", good, prepare=for_two)
    twice = policy_payload(hospital, approvers=[ADMIN, ADMIN])
    yield Attempt("policy: one person twice", "E_FIELDS", node_statement(hospital, twice), prepare=keep(twice))
