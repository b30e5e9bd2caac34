"""A standing policy admits exactly what its terms cover."""

from datetime import timedelta
from typing import Any

import pytest

from fedstudy_core import canonical, dsse
from fedstudy_core.errors import Refusal
from fedstudy_core.keys import generate
from fedstudy_core.policy import PAYLOAD_TYPE, Policy, check_policy, policy_payload, sign_policy, verify_policy
from fedstudy_core.statement import Statement
from fedstudy_core.times import parse_time
from tests.core.builders import KEY, NOW, SIGNER, TRUSTED, statement

SHARED = ("study", "site", "node", "dataset", "rounds", "outputs", "limits", "sandbox_min", "nonce", "sequence")
POLICY_ID = "d" * 64


def policy(**changes: Any) -> Policy:
    plain = statement().model_dump(mode="json", exclude_none=True)
    values = {name: plain[name] for name in SHARED} | {
        "v": 1,
        "scripts": ["a" * 64],
        "privacy": {"min_sites": 2, "min_rows": 10},
        "meaning": "standing policy",
        "approvers": [SIGNER],
        "revocation_epoch": 0,
        "not_before": plain["not_before"],
        "not_after": plain["not_after"],
    }
    return Policy.model_validate({**values, **changes})


def admitted(**changes: Any) -> Statement:
    by_node = {"key": "e" * 64, "name": "standing policy", "role": "standing policy"}
    values = {"approvers": [by_node], "policy": POLICY_ID, "privacy": {"min_sites": 2, "min_rows": 10}}
    return statement(**{**values, **changes})


def check(covered: Statement, by: Policy | None = None, **conditions: Any) -> None:
    values = {"now": NOW, "revocation_epoch": 0, "revoked": set(), "identity": POLICY_ID, **conditions}
    check_policy(by or policy(), covered, **values)


def test_what_stays_within_the_policy_is_covered() -> None:
    check(admitted())
    check(admitted(rounds=1, sandbox_min="S3", limits={"wall_s": 1, "memory_mb": 1}))
    check(admitted(privacy={"min_sites": 5, "min_rows": 50}, not_after="2030-02-01T00:00:00Z"))


OTHER = "9" * 8 + "-9999-9999-9999-" + "9" * 12


@pytest.mark.parametrize(
    "wider",
    [
        {"study": OTHER},
        {"site": OTHER},
        {"node": OTHER},
        {"dataset": {"id": OTHER, "fingerprint": "b" * 64}},
        {"dataset": {"id": statement().dataset.id, "fingerprint": "c" * 64}},
        {"script": {"sha256": "b" * 64, "size": 1000}},
        {"rounds": 51},
        {"privacy": {"min_sites": 1, "min_rows": 10}},
        {"privacy": {"min_sites": 2, "min_rows": 9}},
        {"outputs": {"phases": ["query", "train", "evaluate"], "max_bytes": 1_000_001}},
        {"limits": {"wall_s": 61, "memory_mb": 1024}},
        {"limits": {"wall_s": 60, "memory_mb": 1025}},
        {"not_after": "2030-03-01T00:00:01Z"},
    ],
)
def test_what_goes_beyond_the_policy_is_not(wider: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="E_POLICY"):
        check(admitted(**wider))


@pytest.mark.parametrize(
    ("terms", "outputs", "covered"),
    [
        ({"max_norm": 10}, {"max_norm": 10}, True),
        ({"max_norm": 10}, {"max_norm": 11}, False),
        ({"max_norm": 10}, {}, False),
        ({"metrics": ["auc", "loss"]}, {"metrics": ["auc"]}, True),
        ({"metrics": ["auc"]}, {"metrics": ["auc", "rows"]}, False),
        ({"metrics": ["auc"]}, {}, False),
    ],
)
def test_bounds_of_what_leaves(terms: dict[str, Any], outputs: dict[str, Any], covered: bool) -> None:
    base = {"phases": ["train"], "max_bytes": 1000}
    by = policy(outputs={**base, **terms})
    if covered:
        check(admitted(outputs={**base, **outputs}), by)
    else:
        with pytest.raises(Refusal, match="E_POLICY"):
            check(admitted(outputs={**base, **outputs}), by)


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        ({"now": parse_time(policy().not_before) - timedelta(seconds=1)}, "E_NOT_YET"),
        ({"now": parse_time(policy().not_after)}, "E_EXPIRED"),
        ({"revoked": {POLICY_ID}}, "E_REVOKED"),
        ({"revocation_epoch": 1}, "E_REVOKED_EPOCH"),
    ],
)
def test_a_policy_that_no_longer_holds_admits_nothing(conditions: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check(admitted(), **conditions)
    assert refusal.value.code == code


def test_a_policy_is_good_for_180_days_at_most() -> None:
    with pytest.raises(Refusal, match="E_TOO_LONG"):
        check(admitted(), policy(not_after="2030-06-30T00:00:01Z"))


def test_only_the_people_whom_it_names_make_a_policy() -> None:
    assert verify_policy(sign_policy(policy(), KEY), TRUSTED) == policy()
    with pytest.raises(Refusal, match="E_NO_TRUSTED_SIGNATURE"):
        verify_policy(sign_policy(policy(), generate()), TRUSTED)
    other = policy(approvers=[{**SIGNER, "name": "Somebody Else"}])
    with pytest.raises(Refusal, match="E_SIGNERS"):
        verify_policy(sign_policy(other, KEY), TRUSTED)


def test_unknown_fields_are_refused() -> None:
    plain = canonical.loads(policy_payload(policy()))
    envelope = dsse.sign(PAYLOAD_TYPE, canonical.dumps({**plain, "extra": 1}), [KEY])
    with pytest.raises(Refusal, match="E_FIELDS"):
        verify_policy(envelope, TRUSTED)
    listed = dsse.sign(PAYLOAD_TYPE, canonical.dumps([plain]), [KEY])
    with pytest.raises(Refusal, match="E_FIELDS"):
        verify_policy(listed, TRUSTED)


@pytest.mark.parametrize(
    "changes",
    [
        {"approvers": [{**SIGNER, "role": "standing policy"}]},
        {"policy": POLICY_ID},
        {"approvers": [SIGNER, SIGNER]},
        {"approvers": [SIGNER, {"key": "e" * 64, "name": "standing policy", "role": "standing policy"}]},
        {"approvers": []},
    ],
)
def test_people_and_policies_do_not_sign_together(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"approvers|policy|signs"):
        statement(**changes)
