"""Signatures by passkeys: each rule has its code, any altered byte is refused, and py_webauthn agrees."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import webauthn
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from webauthn.helpers.exceptions import InvalidAuthenticationResponse

from fedstudy_core.approvers import ApproverKey, by_id
from fedstudy_core.errors import Invalid, Refusal
from fedstudy_core.passkeys import Assertion, Passkey, challenge_of, public_key_text, read_public_key
from tests.factories.passkeys import (
    ATTESTED,
    EXTENSIONS,
    IS_SYNCED,
    KINDS,
    MAY_SYNC,
    ORIGIN,
    PRESENT,
    RP_ID,
    VERIFIED,
    Kind,
    SoftPasskey,
    base64url,
)

DOCUMENT = b"what the site signs"


@cache
def device(kind: Kind = "ES256", *, synced: bool = False) -> SoftPasskey:
    """One passkey for all tests: RSA keys are slow to make."""
    return SoftPasskey(kind, synced=synced)


def verdict(passkey: Passkey, signature: bytes, data: bytes = DOCUMENT) -> str:
    """The code of the refusal, "E_SIG" for another signature, "" when it holds."""
    try:
        passkey.verify(signature, data)
    except Refusal as refusal:
        return refusal.code
    except InvalidSignature:
        return "E_SIG"
    return ""


@pytest.mark.parametrize("synced", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_signature_holds(kind: Kind, synced: bool) -> None:
    made = device(kind, synced=synced)
    assertion = made.assertion(DOCUMENT)
    assert verdict(made.passkey, assertion.to_bytes()) == ""
    assert Assertion.from_bytes(assertion.to_bytes()) == assertion
    assert assertion.sign_count == made.count


@pytest.mark.parametrize(
    ("client", "code"),
    [
        ({"type": "webauthn.create"}, "E_WA_TYPE"),
        ({"type": None}, "E_WA_TYPE"),
        ({"origin": "https://localhost:8601"}, "E_WA_ORIGIN"),
        ({"origin": "http://localhost:8602"}, "E_WA_ORIGIN"),
        ({"origin": "http://localhost:8601/"}, "E_WA_ORIGIN"),
        ({"origin": "http://portal.localhost:8601"}, "E_WA_ORIGIN"),
        ({"origin": None}, "E_WA_ORIGIN"),
        ({"crossOrigin": True}, "E_WA_CROSS_ORIGIN"),
        ({"crossOrigin": "false"}, "E_WA_CROSS_ORIGIN"),
        ({"crossOrigin": 0}, "E_WA_CROSS_ORIGIN"),
        ({"topOrigin": "http://portal.example"}, "E_WA_CROSS_ORIGIN"),
        ({"challenge": base64url(challenge_of(b"another document"))}, "E_WA_CHALLENGE"),
        ({"challenge": base64url(challenge_of(DOCUMENT)) + "="}, "E_WA_CHALLENGE"),
        ({"challenge": None}, "E_WA_CHALLENGE"),
    ],
)
def test_what_the_browser_says_of_the_page_is_held_to_what_was_pinned(client: Mapping[str, Any], code: str) -> None:
    assert verdict(device().passkey, device().assertion(DOCUMENT, client=client).to_bytes()) == code


@pytest.mark.parametrize(
    ("lies", "code"),
    [
        ({"rp_id": "portal.example"}, "E_WA_RPID"),
        ({"rp_id": "LOCALHOST"}, "E_WA_RPID"),
        ({"flags": VERIFIED}, "E_WA_UP"),
        ({"flags": 0}, "E_WA_UP"),
        ({"flags": PRESENT}, "E_WA_UV"),
        ({"flags": PRESENT | VERIFIED | IS_SYNCED}, "E_WA_FLAGS"),
        ({"flags": PRESENT | VERIFIED | ATTESTED}, "E_WA_FLAGS"),
        ({"flags": PRESENT | VERIFIED | 0x02}, "E_WA_FLAGS"),
        ({"flags": PRESENT | VERIFIED | 0x20}, "E_WA_FLAGS"),
        ({"flags": PRESENT | VERIFIED | EXTENSIONS}, "E_WA_FLAGS"),
        ({"tail": b"\xa0"}, "E_WA_FLAGS"),
        ({"flags": PRESENT | VERIFIED | MAY_SYNC}, "E_WA_SYNCED"),
    ],
)
def test_what_the_passkey_says_of_itself_is_held_to_what_was_pinned(lies: dict[str, Any], code: str) -> None:
    assert verdict(device().passkey, device().assertion(DOCUMENT, **lies).to_bytes()) == code


def test_a_synced_passkey_does_not_turn_into_one_that_stays() -> None:
    made = device(synced=True)
    assert verdict(made.passkey, made.assertion(DOCUMENT, flags=PRESENT | VERIFIED).to_bytes()) == "E_WA_SYNCED"


def test_a_signature_is_of_one_document_and_one_key() -> None:
    signature = device().assertion(DOCUMENT).to_bytes()
    assert verdict(device().passkey, signature, b"another document") == "E_WA_CHALLENGE"
    assert verdict(SoftPasskey().passkey, signature) == "E_SIG"


def test_extensions_and_members_that_browsers_add_are_fine() -> None:
    flags = PRESENT | VERIFIED | EXTENSIONS
    assertion = device().assertion(DOCUMENT, client={"other_keys_can_be_added_here": "x"}, flags=flags, tail=b"\xa0")
    assert verdict(device().passkey, assertion.to_bytes()) == ""


@pytest.mark.parametrize(
    "client_data", [b"", b"{", b"[]", b'"webauthn.get"', b"\xff", b"[" * 5000], ids=lambda data: repr(data[:8])
)
def test_a_browsers_account_that_is_none_is_refused(client_data: bytes) -> None:
    assertion = replace(device().assertion(DOCUMENT), client_data=client_data)
    assert verdict(device().passkey, assertion.to_bytes()) in ("E_ENVELOPE", "E_WA_TYPE")


@pytest.mark.parametrize("length", [0, 31, 32, 36])
def test_a_short_account_of_the_passkey_is_refused(length: int) -> None:
    whole = device().assertion(DOCUMENT)
    cut = replace(whole, authenticator_data=whole.authenticator_data[:length])
    assert verdict(device().passkey, cut.to_bytes()) == "E_WA_RPID"


def _changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    value = json.loads(device().assertion(DOCUMENT).to_bytes())
    change(value)
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"{}",
        b"null",
        b"x" * 9000,
        _changed(lambda value: value.update(more="")),
        _changed(lambda value: value.pop("signature")),
        _changed(lambda value: value.update(signature=7)),
        _changed(lambda value: value.update(signature=value["signature"] + "=")),
        _changed(lambda value: value.update(signature=value["signature"].replace("=", ""))),
        device().assertion(DOCUMENT).to_bytes() + b"\n",
    ],
    ids=range(10),
)
def test_another_form_is_refused(signature: bytes) -> None:
    """Where the padding happens to be absent, dropping it changes nothing: then the signature holds."""
    assert verdict(device().passkey, signature) in ("E_ENVELOPE", "")
    if not signature.startswith(b'{"auth'):
        assert verdict(device().passkey, signature) == "E_ENVELOPE"


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    part=st.sampled_from(["authenticator_data", "client_data", "signature"]),
    place=st.integers(0, 10_000),
    bit=st.integers(0, 7),
)
def test_any_flipped_bit_of_an_assertion_is_refused(kind: Kind, part: str, place: int, bit: int) -> None:
    assertion = _assertion(kind)
    data = bytearray(getattr(assertion, part))
    data[place % len(data)] ^= 1 << bit
    flipped = replace(assertion, **{part: bytes(data)})
    assert verdict(device(kind).passkey, flipped.to_bytes()) != ""


@cache
def _assertion(kind: Kind) -> Assertion:
    return device(kind).assertion(DOCUMENT)


def test_every_flipped_byte_as_it_is_stored_is_refused() -> None:
    written = bytearray(_assertion("ES256").to_bytes())
    for place in range(len(written)):
        for mask in (0x01, 0x20, 0x80):
            written[place] ^= mask
            assert verdict(device().passkey, bytes(written)) != "", place
            written[place] ^= mask


LIES: list[dict[str, Any]] = [
    {},
    {"client": {"type": "webauthn.create"}},
    {"client": {"origin": "http://localhost:8602"}},
    {"client": {"challenge": "AAAA"}},
    {"rp_id": "portal.example"},
    {"flags": PRESENT},
    {"flags": VERIFIED},
]


@pytest.mark.parametrize("lies", LIES, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_py_webauthn_comes_to_the_same_verdict(kind: Kind, lies: dict[str, Any]) -> None:
    made = device(kind)
    assertion = made.assertion(DOCUMENT, **lies)
    try:
        webauthn.verify_authentication_response(
            credential=made.answer(assertion),
            expected_challenge=challenge_of(DOCUMENT),
            expected_rp_id=RP_ID,
            expected_origin=ORIGIN,
            credential_public_key=made.cose(),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
        theirs = True
    except InvalidAuthenticationResponse:
        theirs = False
    assert (verdict(made.passkey, assertion.to_bytes()) == "") == theirs == (lies == {})


@pytest.mark.parametrize("kind", KINDS)
def test_a_public_key_is_read_as_it_was_written(kind: Kind) -> None:
    key = device(kind).key.public_key()
    assert public_key_text(read_public_key(base64.b64decode(public_key_text(key)))) == public_key_text(key)


def _der(key: Any) -> bytes:
    return bytes(
        key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"no key",
        _der(ec.generate_private_key(ec.SECP384R1())),
        _der(Ed448PrivateKey.generate()),
        _der(rsa.generate_private_key(65537, 1024)),  # noqa: S505  (too short, on purpose)
    ],
    ids=["empty", "text", "P-384", "Ed448", "RSA-1024"],
)
def test_keys_of_other_kinds_are_not_taken(der: bytes) -> None:
    with pytest.raises(Invalid, match="E_KEY"):
        read_public_key(der)


def test_a_pinned_passkey_verifies_as_the_person_it_names() -> None:
    entry = device().entry("Ada Lovelace", "data steward")
    found = by_id([entry])[entry.id]
    assert (found.name, found.role) == ("Ada Lovelace", "data steward")
    found.key.verify(device().assertion(DOCUMENT).to_bytes(), DOCUMENT)
    assert ApproverKey.model_validate_json(entry.model_dump_json()) == entry


@pytest.mark.parametrize(
    "changed",
    [
        {"rp_id": ""},
        {"origin": ""},
        {"credential": ""},
        {"kind": "console"},
        {"kind": "password"},
        {"name": ""},
        {"name": " Ada"},
        {"name": "Ada\u202e"},
        {"name": "x" * 201},
        {"role": "principal investigator"},
        {"more": ""},
        {"synced": "yes"},
    ],
    ids=repr,
)
def test_an_approver_that_does_not_fit_is_not_pinned(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ApproverKey.model_validate(device().entry().model_dump() | changed)


def test_an_approver_with_a_key_that_is_none_is_not_pinned() -> None:
    for key in ("", "AAAA", "not base64!"):
        with pytest.raises(Invalid, match="E_KEY"):
            device().entry().model_copy(update={"key": key}).approver()
