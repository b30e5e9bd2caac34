"""An approval covers exactly what it says, and every refusal has its code."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core import canonical, dsse
from fedstudy_core.errors import Refusal
from fedstudy_core.keys import generate, key_id
from fedstudy_core.parameters import Allowed
from fedstudy_core.statement import (
    PAYLOAD_TYPE,
    Floor,
    check_use,
    read_unverified,
    sign_statement,
    statement_id,
    verify_statement,
)
from fedstudy_core.times import parse_time
from tests.core.builders import KEY, NOW, TRUSTED, statement, use

ENVELOPE = sign_statement(statement(), KEY)


def check(changed_statement=None, changed_use=None, **conditions) -> None:
    values = {"now": NOW, "revocation_epoch": 0, "revoked": set(), "identity": "i", **conditions}
    check_use(statement(**(changed_statement or {})), use(**(changed_use or {})), **values)


def test_a_signed_statement_is_read_back() -> None:
    assert verify_statement(ENVELOPE, TRUSTED) == statement() == read_unverified(ENVELOPE)


@given(st.integers(0, len(ENVELOPE) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(position: int, change: int) -> None:
    altered = bytearray(ENVELOPE)
    altered[position] ^= change
    with pytest.raises(Refusal):
        verify_statement(bytes(altered), TRUSTED)


@given(st.integers(0, len(ENVELOPE) - 1))
def test_a_cut_envelope_is_refused(length: int) -> None:
    with pytest.raises(Refusal):
        verify_statement(ENVELOPE[:length], TRUSTED)


def test_another_key_does_not_count() -> None:
    stranger = generate()
    with pytest.raises(Refusal, match="E_NO_TRUSTED_SIGNATURE"):
        verify_statement(sign_statement(statement(), stranger), TRUSTED)


def test_a_strangers_signature_under_a_trusted_name_does_not_hold() -> None:
    stranger = generate()
    forged = sign_statement(statement(), stranger).replace(
        key_id(stranger.public_key()).encode(), key_id(KEY.public_key()).encode()
    )
    with pytest.raises(Refusal, match="E_SIG"):
        verify_statement(forged, TRUSTED)


def signed(payload: object, payload_type: str = PAYLOAD_TYPE) -> bytes:
    data = payload if isinstance(payload, bytes) else canonical.dumps(payload)
    return dsse.sign(payload_type, data, [KEY])


PLAIN = statement().model_dump(mode="json", exclude_none=True)


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (signed(PLAIN, "text/plain"), "E_TYPE"),
        (signed({**PLAIN, "extra": 1}), "E_FIELDS"),
        (signed({name: value for name, value in PLAIN.items() if name != "rounds"}), "E_FIELDS"),
        (signed({**PLAIN, "rounds": "50"}), "E_FIELDS"),
        (signed({**PLAIN, "rounds": True}), "E_FIELDS"),
        (signed({**PLAIN, "v": 2}), "E_VERSION"),
        (signed({**PLAIN, "v": True}), "E_VERSION"),
        (signed([PLAIN]), "E_FIELDS"),
        (signed({**PLAIN, "not_after": "soon"}), "E_FIELDS"),
        (signed({**PLAIN, "issued_at": "today"}), "E_FIELDS"),
        (signed({**PLAIN, "issued_at": "2030-03-01T00:00:01Z"}), "E_FIELDS"),
        (signed({**PLAIN, "study": PLAIN["study"].upper() + "A"}), "E_FIELDS"),
        (signed({**PLAIN, "privacy": {"min_sites": 0}}), "E_FIELDS"),
        (signed({**PLAIN, "run_config": {"x": {"type": "code"}}}), "E_FIELDS"),
        (signed(canonical.dumps(PLAIN) + b" "), "E_NOT_CANONICAL"),
        (signed(b'{"v":1,"v":1}'), "E_DUPKEY"),
        (b"{}", "E_ENVELOPE"),
        (b"x" * 70_000, "E_SIZE"),
    ],
)
def test_what_does_not_have_the_form_is_refused(envelope: bytes, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        verify_statement(envelope, TRUSTED)
    assert refusal.value.code == code


def test_the_approved_use_is_let_through() -> None:
    check()


@pytest.mark.parametrize(
    ("changed_statement", "changed_use", "code"),
    [
        ({"meaning": "rejected"}, {}, "E_DECISION"),
        ({}, {"site": "x"}, "E_AUDIENCE"),
        ({}, {"node": "x"}, "E_AUDIENCE"),
        ({}, {"study": "x"}, "E_STUDY"),
        ({}, {"script_sha256": "c" * 64}, "E_BUNDLE"),
        ({}, {"script_size": 1001}, "E_BUNDLE"),
        ({}, {"dataset_id": "x"}, "E_DATASET"),
        ({}, {"dataset_fingerprint": "c" * 64}, "E_DATASET"),
        ({}, {"run_config": {"local-steps": 101}}, "E_RUN_CONFIG"),
        ({}, {"run_config": {"local-steps": "10"}}, "E_RUN_CONFIG"),
        ({}, {"run_config": {"local-steps": True}}, "E_RUN_CONFIG"),
        ({}, {"run_config": {}}, "E_RUN_CONFIG"),
        ({}, {"run_config": {"local-steps": 10, "more": 1}}, "E_RUN_CONFIG"),
        ({}, {"rounds": 51}, "E_ROUNDS"),
        ({"outputs": {"phases": ["query"], "max_bytes": 1}}, {}, "E_OUTPUT_SCHEMA"),
        ({}, {"sites": 1}, "E_QUORUM"),
        ({"sandbox_min": "S3"}, {"sandbox": "S2"}, "E_SANDBOX"),
        ({"privacy": {"min_sites": 2, "min_rows": 101}}, {}, "E_MIN_ROWS"),
        ({}, {"floor": Floor(min_sites=3)}, "E_POLICY_FLOOR"),
        ({}, {"floor": Floor(min_rows=2)}, "E_POLICY_FLOOR"),
        ({}, {"floor": Floor(sandbox_min="S1"), "sandbox": "S4"}, "E_POLICY_FLOOR"),
        ({}, {"floor": Floor(people=2)}, "E_SECOND_PERSON"),
        ({}, {"floor": Floor(people=2), "people": ["site admin", "site admin"]}, "E_SECOND_PERSON"),
        ({"not_before": "2030-02-01T00:00:00Z"}, {}, "E_NOT_YET"),
        ({"not_after": "2030-01-15T12:00:00Z"}, {}, "E_EXPIRED"),
        ({"not_after": "2030-06-30T00:00:01Z"}, {}, "E_TOO_LONG"),
    ],
)
def test_every_other_use_is_refused_with_its_code(changed_statement, changed_use, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check(changed_statement, changed_use)
    assert refusal.value.code == code


def test_revocation_ends_an_approval() -> None:
    with pytest.raises(Refusal, match="E_REVOKED"):
        check(revoked={"i"})
    with pytest.raises(Refusal, match="E_REVOKED_EPOCH"):
        check(revocation_epoch=1)


def test_validity_ends_to_the_second() -> None:
    end = parse_time(statement().not_after)
    check(now=end - timedelta(seconds=1))
    with pytest.raises(Refusal, match="E_EXPIRED"):
        check(now=end)


def test_the_id_is_that_of_what_was_signed() -> None:
    both = dsse.sign(PAYLOAD_TYPE, dsse.unverified_payload(ENVELOPE), [KEY, generate()])
    assert both != ENVELOPE
    assert statement_id(both) == statement_id(ENVELOPE)
    assert statement_id(sign_statement(statement(nonce="m" * 20), KEY)) != statement_id(ENVELOPE)


@pytest.mark.parametrize(
    "respelled",
    [
        ENVELOPE + b" ",
        b" " + ENVELOPE,
        ENVELOPE.replace(b":", b": ", 1),
        ENVELOPE.replace(b'"payload"', b'"p\\u0061yload"', 1),
        json.dumps(dict(reversed(json.loads(ENVELOPE).items())), separators=(",", ":")).encode(),
        ENVELOPE.replace(b'{"payload"', b'{"payload":"","payload"', 1),
    ],
)
def test_an_envelope_has_one_spelling(respelled: bytes) -> None:
    """A revoked statement must not come back in other bytes."""
    with pytest.raises(Refusal, match="E_ENVELOPE"):
        verify_statement(respelled, TRUSTED)


def test_an_unknown_sandbox_is_none() -> None:
    with pytest.raises(Refusal, match="E_SANDBOX"):
        check(changed_use={"sandbox": "S9"})


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.sampled_from(["", "approved", "train", "S9", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*PLAIN, "min", "type", "sha256"]), inner)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(list(PLAIN)), anything, max_size=3),
    st.sets(st.sampled_from(list(PLAIN)), max_size=2),
)
def test_any_signed_content_is_a_statement_or_refused(changes: dict[str, object], left_out: set[str]) -> None:
    """Even a key holder's own mistakes end in a code, in reading and in use."""
    payload = {name: value for name, value in {**PLAIN, **changes}.items() if name not in left_out}
    try:
        read = verify_statement(signed(payload), TRUSTED)
        check_use(read, use(), now=NOW, revocation_epoch=0, revoked=set(), identity="i")
    except Refusal as refusal:
        assert refusal.code.startswith("E_")


@pytest.mark.parametrize("limit", ["", "x", "NaN", "sNaN", "1e99999999999999999999", "-", "1,5", "9" * 5000])
def test_a_limit_that_is_no_number_allows_nothing(limit: str) -> None:
    steps = {"type": "int", "min": limit}
    if limit.isdigit():
        assert not Allowed.model_validate(steps).permits(10)
        return
    with pytest.raises(Refusal, match="E_RUN_CONFIG"):
        check(changed_statement={"run_config": {"local-steps": steps}})


@pytest.mark.parametrize(
    "time", ["2030-01-01", "2030-01-01T00:00:00+00:00", "2030-01-01T00:00:00.5Z", "", "2030-13-01T00:00:00Z"]
)
def test_times_have_one_form(time: str) -> None:
    with pytest.raises(Refusal, match="E_FIELDS"):
        check(changed_statement={"not_before": time})


def test_an_approval_covers_180_days_and_no_second_more() -> None:
    check(changed_statement={"not_before": "2030-01-01T00:00:00Z", "not_after": "2030-06-30T00:00:00Z"})
    with pytest.raises(Refusal, match="E_TOO_LONG"):
        check(changed_statement={"not_before": "2030-01-01T00:00:00Z", "not_after": "2030-06-30T00:00:01Z"})
