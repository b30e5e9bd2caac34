"""Keys, receipts, signed requests and the words that people compare."""

from datetime import UTC, datetime, timedelta

import pytest

from fedstudy_core import signed_request
from fedstudy_core.errors import FedStudyError, Forbidden, Refusal
from fedstudy_core.keys import from_pem, generate, public_from_text, public_text, six_words, to_pem
from fedstudy_core.receipts import Receipt, sign_receipt, verify_receipt
from tests.core.builders import KEY, NODE, SITE, STUDY

PUBLIC = public_text(KEY.public_key())
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_key_comes_back_from_its_file_with_the_passphrase_only() -> None:
    data = to_pem(KEY, b"open sesame")
    assert public_text(from_pem(data, b"open sesame").public_key()) == PUBLIC
    for wrong in (b"other", None):
        with pytest.raises(Refusal, match="E_PASSPHRASE"):
            from_pem(data, wrong)


@pytest.mark.parametrize("text", ["", "x", "QUJD", PUBLIC + "=="])
def test_what_is_no_public_key_is_said(text: str) -> None:
    with pytest.raises(FedStudyError, match="E_KEY"):
        public_from_text(text)


def test_six_words_depend_on_every_key() -> None:
    other = public_text(generate().public_key())
    words = {six_words(PUBLIC, other), six_words(other, PUBLIC), six_words(PUBLIC, PUBLIC)}
    assert len(words) == 3
    assert all(len(item.split()) == 6 for item in words)
    assert six_words("a", "b") == "tool erosion bag such december fade"


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
