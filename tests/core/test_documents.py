"""Keys, receipts, signed requests and the words that people compare."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core import canonical, dsse, signed_request
from fedstudy_core.errors import FedStudyError, Forbidden, Refusal
from fedstudy_core.keys import from_pem, generate, key_id, public_from_text, public_text, six_words, to_pem
from fedstudy_core.receipts import PAYLOAD_TYPE, Receipt, sign_receipt, verify_receipt
from fedstudy_core.statement import sign_statement
from tests.core.builders import KEY, NODE, SITE, STUDY, statement

PUBLIC = public_text(KEY.public_key())
NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEYS = [generate() for _ in range(8)]


def test_a_key_comes_back_from_its_file_with_the_passphrase_only() -> None:
    data = to_pem(KEY, b"open sesame")
    assert public_text(from_pem(data, b"open sesame").public_key()) == PUBLIC
    for wrong in (b"other", None):
        with pytest.raises(Refusal, match="E_PASSPHRASE"):
            from_pem(data, wrong)


def test_a_passphrase_is_stretched_before_it_opens_anything() -> None:
    first, second = to_pem(KEY, b"open sesame"), to_pem(KEY, b"open sesame")
    assert first.splitlines()[0] != second.splitlines()[0]
    with pytest.raises(ValueError):  # one wrong guess in 256 looks like broken data instead
        load_pem_private_key(first, b"open sesame")
    for damaged in (first.replace(b"Salt: ", b"Salt: x", 1), first.partition(b"\n")[2]):
        with pytest.raises(Refusal, match=r"E_KEY|E_PASSPHRASE"):
            from_pem(damaged, b"open sesame")


def test_an_unprotected_key_comes_back_and_other_keys_do_not() -> None:
    assert public_text(from_pem(to_pem(KEY, None), None).public_key()) == PUBLIC
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data in (b"", b"text", other, to_pem(KEY, None)[:60]):
        with pytest.raises(Refusal, match="E_KEY"):
            from_pem(data, None)


def test_a_key_has_one_text() -> None:
    """Unused bits of base64 and spaces would make other texts of the same key."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = PUBLIC[:-2] + alphabet[alphabet.index(PUBLIC[-2]) ^ 1] + "="
    assert base64.b64decode(twin) == base64.b64decode(PUBLIC)
    with pytest.raises(FedStudyError, match="E_KEY"):
        public_from_text(twin)


@pytest.mark.parametrize(
    "text",
    ["", "x", "QUJD", "\n" + PUBLIC, PUBLIC + "=="],
    ids=["nothing", "short", "three", "led", "padded"],
)
def test_what_is_no_public_key_is_said(text: str) -> None:
    with pytest.raises(FedStudyError, match="E_KEY"):
        public_from_text(text)


def test_six_words_depend_on_every_key() -> None:
    other = public_text(generate().public_key())
    words = {six_words(PUBLIC, other), six_words(other, PUBLIC), six_words(PUBLIC, PUBLIC)}
    assert len(words) == 3
    assert all(len(item.split()) == 6 for item in words)
    assert six_words("a", "b") == "master afford forward control predict gloom"
    assert six_words("a\nb") != six_words("a", "b")


def receipt(**changes: object) -> Receipt:
    values = {
        "run": "r", "flower_run": "1", "round": 1, "phase": "train", "study": STUDY, "site": SITE, "node": NODE,
        "outcome": "done", "started_at": "2030-01-01T00:00:00Z", "ended_at": "2030-01-01T00:00:01Z",
        "sandbox": "S0", "agent_version": "0.1.0", "sequence": 7, "update_sha256": "d" * 64,
    }  # fmt: skip
    return Receipt.model_validate({**values, **changes})


def test_a_receipt_is_read_back_from_its_node_only() -> None:
    signed = sign_receipt(receipt(), KEY)
    assert verify_receipt(signed, PUBLIC) == receipt()
    with pytest.raises(Refusal, match="E_RECEIPT"):
        verify_receipt(signed, public_text(generate().public_key()))
    with pytest.raises(Refusal, match="E_RECEIPT"):
        verify_receipt(signed.replace(b'"sig":"', b'"sig":"A'), PUBLIC)


REQUEST = {"method": "POST", "path": "/api/v1/node/heartbeat", "body": b"{}"}


def test_a_signed_request_is_accepted_once_signed_well() -> None:
    headers = signed_request.sign(KEY, node="n", now=NOW, sequence=4, **REQUEST)  # type: ignore[arg-type]
    assert signed_request.verify(headers, public_key=PUBLIC, now=NOW, **REQUEST) == 4  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "header", "late", "code"),
    [
        ({"method": "PUT"}, {}, 0, "E_SIGNATURE"),
        ({"path": "/api/v1/node/scripts"}, {}, 0, "E_SIGNATURE"),
        ({"body": b"{ }"}, {}, 0, "E_SIGNATURE"),
        ({}, {signed_request.SEQUENCE: "5"}, 0, "E_SIGNATURE"),
        ({}, {signed_request.SEQUENCE: "x"}, 0, "E_SIGNATURE"),
        ({}, {signed_request.SEQUENCE: " 4"}, 0, "E_SIGNATURE"),
        ({}, {signed_request.SEQUENCE: "+4"}, 0, "E_SIGNATURE"),
        ({}, {signed_request.SEQUENCE: "٤"}, 0, "E_SIGNATURE"),
        ({}, {signed_request.SEQUENCE: "9" * 5000}, 0, "E_SIGNATURE"),
        ({}, {signed_request.SEQUENCE: "9" * 16}, 0, "E_SIGNATURE"),
        ({}, {signed_request.TIMESTAMP: "2030-01-01"}, 0, "E_SIGNATURE"),
        ({"path": "/\u202e"}, {}, 0, "E_SIGNATURE"),
        ({}, {signed_request.NODE: "m"}, 0, "E_SIGNATURE"),
        ({}, {signed_request.SIGNATURE: ""}, 0, "E_SIGNATURE"),
        ({}, {}, 301, "E_CLOCK"),
        ({}, {}, -301, "E_CLOCK"),
    ],
)
def test_any_other_request_is_refused(changed, header, late: int, code: str) -> None:
    headers = {**signed_request.sign(KEY, node="n", now=NOW, sequence=4, **REQUEST), **header}  # type: ignore[arg-type]
    with pytest.raises(Forbidden) as refusal:
        signed_request.verify(headers, public_key=PUBLIC, now=NOW + timedelta(seconds=late), **{**REQUEST, **changed})
    assert refusal.value.code == code


SIGNED_RECEIPT = sign_receipt(receipt(), KEY)


@given(st.integers(0, len(SIGNED_RECEIPT) - 1), st.integers(1, 255))
def test_a_receipt_with_any_changed_byte_is_refused(position: int, change: int) -> None:
    altered = bytearray(SIGNED_RECEIPT)
    altered[position] ^= change
    with pytest.raises(Refusal, match="E_RECEIPT"):
        verify_receipt(bytes(altered), PUBLIC)


@pytest.mark.parametrize(
    "changed",
    [{"outcome": "maybe"}, {"round": -1}, {"round": True}, {"examples": 1.5}, {"script_sha256": "x"}, {"surprise": 1}],
)
def test_a_receipt_that_says_something_else_is_refused(changed: dict[str, object]) -> None:
    payload = canonical.dumps(
        {**receipt().model_dump(mode="json"), **{k: str(v) if isinstance(v, float) else v for k, v in changed.items()}}
    )
    with pytest.raises(Refusal, match="E_RECEIPT"):
        verify_receipt(dsse.sign(PAYLOAD_TYPE, payload, [KEY]), PUBLIC)


def test_an_approval_is_no_receipt() -> None:
    with pytest.raises(Refusal, match="E_RECEIPT"):
        verify_receipt(sign_statement(statement(), KEY), PUBLIC)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True), st.integers(0, 7))
def test_an_envelope_holds_for_each_of_its_signers_and_nobody_else(signers: list[int], reader: int) -> None:
    envelope = dsse.sign("t", b"{}", [KEYS[number] for number in signers])
    public = KEYS[reader].public_key()
    if reader in signers:
        assert dsse.verify(envelope, "t", {key_id(public): public}) == b"{}"
    else:
        with pytest.raises(Refusal, match="E_NO_TRUSTED_SIGNATURE"):
            dsse.verify(envelope, "t", {key_id(public): public})


def test_an_envelope_has_a_largest_size_and_number_of_signatures() -> None:
    for payload, keys in ((b"x" * 70_000, KEYS[:1]), (b"", [*KEYS, KEY])):
        with pytest.raises(Refusal, match="E_SIZE"):
            dsse.sign("t", payload, keys)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_refused_as_an_envelope(data: bytes) -> None:
    with pytest.raises(Refusal):
        dsse.verify(data, "t", {})


def envelope(**changes: object) -> bytes:
    whole = {**json.loads(dsse.sign("t", b"{}", KEYS[:1])), **changes}
    return json.dumps(whole, separators=(",", ":"), sort_keys=True).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"more": 1},
        {"payload": 3},
        {"payload": "e30"},
        {"payload": "e31="},
        {"payload": "e30= "},
        {"payloadType": None},
        {"signatures": []},
        {"signatures": {}},
        {"signatures": [3]},
        {"signatures": [{"keyid": "a", "sig": "", "more": ""}]},
        {"signatures": [{"keyid": [], "sig": ""}]},
        {"signatures": [{"keyid": "a", "sig": ""}] * 2},
        {"signatures": [{"keyid": str(number), "sig": ""} for number in range(9)]},
    ],
)
def test_an_envelope_of_another_form_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Refusal, match="E_ENVELOPE"):
        dsse.verify(envelope(**changes), "t", {})


def test_one_bad_signature_by_a_trusted_key_spoils_the_envelope() -> None:
    both = json.loads(dsse.sign("t", b"{}", KEYS[:2]))
    both["signatures"][1]["sig"] = both["signatures"][0]["sig"]
    trusted = {key_id(key.public_key()): key.public_key() for key in KEYS}
    with pytest.raises(Refusal, match="E_SIG"):
        dsse.verify(envelope(**both), "t", trusted)


def test_the_signed_bytes_are_those_of_the_published_protocol() -> None:
    """The example of the DSSE specification, protocol.md."""
    signed = dsse.pre_authentication("http://example.com/HelloWorld", b"hello world")
    assert signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
