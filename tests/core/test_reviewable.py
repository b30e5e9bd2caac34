"""A site signs what its people can read."""

import io
import sys
import time
import unicodedata
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core.artifacts import encode_arrays
from fedstudy_core.errors import Refusal
from fedstudy_core.reviewable import refuse_unreviewable
from tests.core.builders import zipped


def code_of(path: str, data: bytes) -> str:
    with pytest.raises(Refusal) as refusal:
        refuse_unreviewable(path, data)
    return refusal.value.code


def object_array() -> bytes:
    """The header of a NumPy file of objects, which `numpy.load` would unpickle."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "data", "code"),
    [
        ("w.pt", b"", "E_BUNDLE_PICKLE"),
        ("w.npy", object_array(), "E_BUNDLE_PICKLE"),
        ("w.md", object_array(), "E_BUNDLE_BINARY"),
        ("w.json", b"\x80\x05K\x01.", "E_BUNDLE_PICKLE"),
        ("w.json", b"cos\nsystem\n(S'ls'\ntR.", "E_BUNDLE_PICKLE"),
        ("w.json", zipped({"data.pkl": b""}, compression=zipfile.ZIP_STORED), "E_BUNDLE_PICKLE"),
        ("w.md", b"\x1f\x8b\x08\x00\xff", "E_BUNDLE_BINARY"),
        ("w.py", b"x = 1\x00", "E_BUNDLE_BINARY"),
        ("w.pyc", b"", "E_BUNDLE_BINARY"),
        ("tool", b"\x7fELF\x02\x01\x01", "E_BUNDLE_BINARY"),
        ("w.py", b"x = 1\ndef f(:\n    pass\n", "E_BUNDLE_SYNTAX"),
        ("w.py", b"# coding: nonsense\n", "E_BUNDLE_SYNTAX"),
        ("w.safetensors", b"x", "E_BUNDLE_BINARY"),
        ("w.py", "if access != 'user\u202e \u2066# check\u2069 \u2066':".encode(), "E_BUNDLE_DECEPTIVE"),
        ("w.py", "pass\u200bword = 1".encode(), "E_BUNDLE_DECEPTIVE"),
        ("w.py", b"x = 1\x1b[2K", "E_BUNDLE_DECEPTIVE"),
        ("w.py", "x = 1\u2028y = 2".encode(), "E_BUNDLE_DECEPTIVE"),
        ("w.py", "x\ufeff = 1".encode(), "E_BUNDLE_DECEPTIVE"),
    ],
)
def test_what_nobody_can_review_is_refused(path: str, data: bytes, code: str) -> None:
    assert code_of(path, data) == code


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.py", b""),
        ("a.py", b"if x:\r\n\ty = 2\f\n"),
        ("a.py", b"\xef\xbb\xbfx = 1\n"),
        ("LICENSE", "© Charité\u00a0– 京都 👩\u200d⚕️ الطب".encode()),
        ("a.json", b'{"a": [1.5, "."]}'),
        ("a.md", b"(I."),
        ("w.safetensors", encode_arrays({"weight": np.ones(3)})),
    ],
)
def test_text_and_parameters_pass(path: str, data: bytes) -> None:
    refuse_unreviewable(path, data)


def test_the_place_of_an_invisible_character_is_told() -> None:
    with pytest.raises(Refusal, match=r"“a\.py”.*U\+202E.*line 3"):
        refuse_unreviewable("a.py", "x\ny\nz\u202e".encode())


@given(st.binary(max_size=60))
def test_any_bytes_pass_or_are_refused(data: bytes) -> None:
    try:
        refuse_unreviewable("a.py", data)
    except Refusal as refusal:
        assert refusal.code.startswith("E_BUNDLE_")


def test_no_character_of_unicode_that_cannot_be_seen_passes() -> None:
    """Held against this Python's tables: a newer Unicode with new invisible characters fails here."""
    fine = {*"\n\r\t\f", "\u200c", "\u200d"}
    for char in map(chr, range(1, sys.maxunicode + 1)):
        if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and char not in fine:
            assert code_of("a.py", f"x{char}".encode()) == "E_BUNDLE_DECEPTIVE", f"U+{ord(char):04X}"


def test_a_large_text_is_read_quickly() -> None:
    text = ("x = 1  # Größe\n" * 500_000).encode()
    began = time.perf_counter()
    refuse_unreviewable("a.py", text)
    assert time.perf_counter() - began < 1


def test_a_syntax_error_is_told_with_its_file_and_line() -> None:
    with pytest.raises(Refusal, match=r"“tiny/client.py” is not valid Python: .* in line 2"):
        refuse_unreviewable("tiny/client.py", b"x = 1\ndef f(:\n    pass\n")
    refuse_unreviewable("notes.md", b"def f(:")
    refuse_unreviewable("w.py", b"x = '\\d'\n")
