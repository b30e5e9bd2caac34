"""Hostile zip files: whatever the bytes are, the answer is a list of files or a refusal with its code."""

import io
import time
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedstudy_core import archives, bundle
from fedstudy_core.errors import Refusal
from tests.core.builders import FILES, zipped

# Flower 1.41 builds bundles with a pattern class that its dependency has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")

SOUND = zipped(FILES, compression=zipfile.ZIP_DEFLATED)


def code_of(data: bytes) -> str:
    with pytest.raises(Refusal) as refusal:
        archives.read_archive(data)
    return refusal.value.code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (zipped({}), "E_BUNDLE_NOT_ZIP"),
        (zipped({"evil.py": b"1"}) + SOUND, "E_BUNDLE_NOT_ZIP"),
        (b"PK\x03\x04" + SOUND, "E_BUNDLE_NOT_ZIP"),
        (SOUND[:-30], "E_BUNDLE_NOT_ZIP"),
        (zipped(FILES, compression=zipfile.ZIP_LZMA), "E_BUNDLE_PATH"),
        (zipped(FILES, compression=zipfile.ZIP_BZIP2), "E_BUNDLE_PATH"),
        (zipped({"tiny": b"", "tiny/client.py": b""}), "E_BUNDLE_PATH"),
        (zipped({"TINY/client.py": b"", "tiny/client.py/x.py": b""}), "E_BUNDLE_PATH"),
        (zipped({"ti\u200bny.py": b""}), "E_BUNDLE_PATH"),
        (zipped({"cafe\u0301.py": b""}), "E_BUNDLE_PATH"),
        (zipped({"a" * 241: b""}), "E_BUNDLE_PATH"),
        (zipped({f"{number}.py": b"" for number in range(1001)}), "E_BUNDLE_TOO_LARGE"),
    ],
)
def test_what_a_careful_person_would_not_unpack_is_refused(data: bytes, code: str) -> None:
    assert code_of(data) == code


def overlapping() -> bytes:
    """A zip whose second file lies inside the first one's bytes."""
    inner = zipped({"b.py": b"inner"})
    local = inner[: inner.index(b"PK\x01\x02")]
    outer = bytearray(zipped({"a.py": local, "b.py": b"inner"}))
    second = outer.rindex(b"PK\x01\x02")
    outer[second + 42 : second + 46] = (30 + len("a.py")).to_bytes(4, "little")
    return bytes(outer)


def test_overlapping_files_are_refused() -> None:
    assert code_of(overlapping()) in {"E_BUNDLE_PATH", "E_BUNDLE_NOT_ZIP"}


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255), st.integers(0, len(SOUND) - 1), st.integers(0, 255))
def test_damage_is_read_or_refused_but_never_crashes(first: int, change: int, second: int, other: int) -> None:
    damaged = bytearray(SOUND)
    damaged[first] ^= change
    damaged[second] ^= other
    for read in (archives.read_archive, bundle.source_from_zip, bundle.inspect):
        try:
            read(bytes(damaged))
        except Refusal as refusal:
            assert refusal.code.startswith("E_BUNDLE_")


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert code_of(b"PK\x03\x04" + data).startswith("E_BUNDLE_")


def test_a_bomb_is_refused_quickly_and_in_little_memory() -> None:
    bomb = zipped({f"{number}.py": bytes(3_000_000) for number in range(10)}, compression=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    began = time.perf_counter()
    assert code_of(bomb) == "E_BUNDLE_PATH"
    assert time.perf_counter() - began < 0.5
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()


def with_folders(top: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for folder in (top, f"{top}tiny/", "__MACOSX/"):
            if folder:
                archive.mkdir(folder.removesuffix("/"))
        for path, data in {**FILES, "tiny/__pycache__/client.pyc": b"\0", ".DS_Store": b"\0"}.items():
            archive.writestr(top + path, data)
        archive.writestr("__MACOSX/._tiny", b"\0")
    return buffer.getvalue()


@pytest.mark.parametrize("top", ["", "app-main/"])
def test_zips_as_people_make_them_are_taken_as_sources(top: str) -> None:
    sources = bundle.source_from_zip(with_folders(top))
    assert sources == FILES
    assert bundle.inspect(bundle.build(sources)).name == "tiny"


def test_a_bundle_has_no_folders_of_its_own() -> None:
    assert code_of(with_folders()) == "E_BUNDLE_PATH"


def test_a_zip_of_one_file_is_no_app() -> None:
    with pytest.raises(Refusal, match="E_BUNDLE_NOT_FLOWER"):
        bundle.build(bundle.source_from_zip(zipped({"a.py": b""})))
