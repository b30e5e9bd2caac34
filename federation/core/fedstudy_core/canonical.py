"""Canonical JSON: one value, one sequence of bytes, so that signatures and hashes agree everywhere.

A subset of RFC 8785: objects, arrays, strings, whole numbers, booleans and null. Numbers with a fraction are written as
decimal strings by whoever needs them. Text is in Unicode normal form C and holds no control or direction characters.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Any, NoReturn

from fedstudy_core.errors import Refusal

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64
_ASCII_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # all but tab and line feed
_BIDI = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}


def dumps(value: Any) -> bytes:
    """The canonical bytes of a value.

    Raises:
        Refusal: E_NOT_CANONICAL when the value has no canonical form.
    """
    return json.dumps(_ordered(value, MAX_DEPTH), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def loads(data: bytes) -> Any:
    """The value of canonical bytes.

    Raises:
        Refusal: E_DUPKEY for a doubled name, E_NOT_CANONICAL for any other bytes than `dumps` would write.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError) as error:
        raise Refusal("E_NOT_CANONICAL", "The bytes are not JSON.") from error
    if dumps(value) != data:
        raise Refusal("E_NOT_CANONICAL", "The bytes are not in canonical form.")
    return value


def digest(data: bytes) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def is_plain_text(text: str) -> bool:
    """Whether text is in normal form C without control or direction characters (line breaks and tabs are fine)."""
    if text.isascii():  # nearly all there is, and a twentieth of the work
        return _ASCII_CONTROL.search(text) is None
    if unicodedata.normalize("NFC", text) != text:
        return False
    return not any(
        (unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t") or unicodedata.bidirectional(char) in _BIDI
        for char in text
    )


def plain_text(text: str) -> str:
    """The text in normal form C with simple line breaks, and a mark (U+FFFD) for each character that could deceive."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text if is_plain_text(text) else "".join(char if is_plain_text(char) else "\ufffd" for char in text)


def _ordered(value: Any, depth: int) -> Any:
    """The value with the names of its objects in order; refuses what has no canonical form."""
    if depth == 0:
        raise Refusal("E_NOT_CANONICAL", "The value is nested too deeply.")
    match value:
        case None | bool():
            return value
        case int():
            if abs(value) > MAX_INTEGER:
                raise Refusal("E_NOT_CANONICAL", "A number is too large.")
            return value
        case str():
            return _plain(value)
        case list() | tuple():
            return [_ordered(item, depth - 1) for item in value]
        case dict():
            return {name: _ordered(value[name], depth - 1) for name in sorted(value, key=_place)}
        case _:
            raise Refusal("E_NOT_CANONICAL", f"A {type(value).__name__} has no canonical form.")


def _plain(text: str) -> str:
    if not is_plain_text(text):
        raise Refusal("E_NOT_CANONICAL", "A text holds characters that could deceive a reader.")
    return text


def _place(name: object) -> bytes:
    """Where a name stands among others: RFC 8785 compares UTF-16 code units."""
    if not isinstance(name, str):
        raise Refusal("E_NOT_CANONICAL", "A name is not text.")
    return _plain(name).encode("utf-16-be")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refusal("E_DUPKEY", "An object names the same thing twice.")
    return value


def _refuse_number(text: str) -> NoReturn:
    raise Refusal("E_NOT_CANONICAL", f"{text} is not a whole number.")
