"""One value has one sequence of bytes, and only those bytes are read back."""

import json
import string
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fedstudy_core.canonical import dumps, is_plain_text, loads, plain_text
from fedstudy_core.errors import Refusal

text = st.text(alphabet=string.ascii_letters + string.digits + " -_éß漢", max_size=12).map(
    lambda value: unicodedata.normalize("NFC", value)
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_reading_gives_back_what_was_written(value: object) -> None:
    assert loads(dumps(value)) == value


@given(values, st.data())
def test_any_other_bytes_of_the_same_value_are_refused(value: object, data: st.DataObject) -> None:
    written = json.dumps(value, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 1])))
    assume(written.encode() != dumps(value))
    with pytest.raises(Refusal) as refusal:
        loads(written.encode())
    assert refusal.value.code == "E_NOT_CANONICAL"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"a":1,"a":1}', "E_DUPKEY"),
        (b"1.0", "E_NOT_CANONICAL"),
        (b"NaN", "E_NOT_CANONICAL"),
        (b"9007199254740993", "E_NOT_CANONICAL"),
        (b'"e\xcc\x81"', "E_NOT_CANONICAL"),
        (b'"\xe2\x80\xae"', "E_NOT_CANONICAL"),
        (b"\xff", "E_NOT_CANONICAL"),
        (b"[" * 5000, "E_NOT_CANONICAL"),
        (b"[" * 65 + b"]" * 65, "E_NOT_CANONICAL"),
        (b"[" * 985 + b"]" * 985, "E_NOT_CANONICAL"),
        (b"1" * 5000, "E_NOT_CANONICAL"),
        (b'"\\ud800"', "E_NOT_CANONICAL"),
        (b"{} ", "E_NOT_CANONICAL"),
    ],
)
def test_what_could_mean_two_things_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        loads(data)
    assert refusal.value.code == code


def test_names_are_in_the_order_of_their_utf_16_units() -> None:
    assert dumps({"\ue000": 1, "\U0001f600": 2, "a": 3}) == '{"a":3,"\U0001f600":2,"\ue000":1}'.encode()


@pytest.mark.parametrize("value", [1.5, {1: 2}, {"a": {"b"}}, b"bytes", "e\u0301", 2**53])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(Refusal, match="E_NOT_CANONICAL"):
        dumps(value)


@given(st.text(st.characters() | st.sampled_from("\u202e\r\n\0e\u0301\ud800")))
def test_any_text_can_be_made_plain_and_plain_text_stays(text: str) -> None:
    made = plain_text(text)
    assert is_plain_text(made)
    assert plain_text(made) == made
    assert not is_plain_text(text) or made == text


def test_a_plain_text_says_what_the_other_said() -> None:
    assert plain_text("Zu\u0308rich,\r\nline\rtwo\u202e\0") == "Zürich,\nline\ntwo\ufffd\ufffd"


@pytest.mark.parametrize("code", range(0x180))
def test_text_that_a_short_cut_judges_is_judged_by_the_same_rule(code: int) -> None:
    char = chr(code)
    plain = unicodedata.category(char) not in ("Cc", "Cs") or char in "\n\t"
    assert is_plain_text(char) is plain
    assert is_plain_text(f"before{char}after") is plain
