"""Zip files from strangers, read with suspicion: what a careful person would not unpack is refused before it is opened.

Only the bytes at hand are read, nothing is written. Memory is bounded by `MAX_UNPACKED`.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from pathlib import PurePosixPath

from fedstudy_core.canonical import is_plain_text
from fedstudy_core.errors import Refusal

MAX_BYTES = 10 * 1024 * 1024
MAX_UNPACKED = 32 * 1024 * 1024
MAX_FILES = 1000
MAX_RATIO = 200
MAX_NAME = 240
_START = b"PK\x03\x04"
_LOCAL_HEADER = 30
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What reading a damaged zip file raises.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    UnicodeDecodeError,
    RuntimeError,
    OverflowError,
    ValueError,
)


def read_archive(data: bytes, *, folders: bool = False) -> dict[str, bytes]:
    """Every file of a zip by its path, in the zip's order.

    Args:
        folders: take entries for folders, as ordinary zip programs write them, and leave them out.

    Raises:
        Refusal: E_BUNDLE_TOO_LARGE, E_BUNDLE_NOT_ZIP, E_BUNDLE_PATH.
    """
    if len(data) > MAX_BYTES:
        detail = f"The bundle has {len(data)} bytes; at most {MAX_BYTES} are taken."
        raise Refusal("E_BUNDLE_TOO_LARGE", detail, status=413)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if folders:
                entries = [entry for entry in entries if not _is_folder(entry)]
            _refuse_bad_layout(data, archive, entries)
            return {entry.filename: _read(archive, entry) for entry in entries}
    except DAMAGED as error:
        raise Refusal("E_BUNDLE_NOT_ZIP", "The bundle is not a sound zip file.", status=400) from error


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return entry.is_dir() and entry.file_size == 0


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as file:
        content = file.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        detail = f"“{entry.filename}” is not as long as the bundle says."
        raise Refusal("E_BUNDLE_NOT_ZIP", detail, status=400)
    return content


def _refuse_bad_layout(data: bytes, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """One zip from the first byte on, whose files lie one after another."""
    everything = archive.infolist()
    if not everything:
        raise Refusal("E_BUNDLE_NOT_ZIP", "The bundle is empty.", status=400)
    if not data.startswith(_START) or min(entry.header_offset for entry in everything) != 0:
        raise Refusal("E_BUNDLE_NOT_ZIP", "Something stands before the zip file's content.", status=400)
    if len(everything) > MAX_FILES or sum(entry.file_size for entry in everything) > MAX_UNPACKED:
        raise Refusal("E_BUNDLE_TOO_LARGE", "The bundle unpacks to too much.", status=413)
    for entry in entries:
        _refuse_bad_entry(entry)
    _refuse_clashes([entry.filename for entry in entries])
    end = 0
    for entry in sorted(everything, key=lambda item: item.header_offset):
        if entry.header_offset < end:
            raise Refusal("E_BUNDLE_PATH", "Files of the bundle overlap.", status=400)
        end = entry.header_offset + _LOCAL_HEADER + len(entry.orig_filename.encode()) + entry.compress_size
    if end > archive.start_dir:
        raise Refusal("E_BUNDLE_PATH", "Files of the bundle overlap.", status=400)


def _refuse_clashes(names: list[str]) -> None:
    """No two names that some file system takes for the same, and no file in the place of a folder."""
    seen: set[str] = set()
    for name in names:
        folded = name.casefold()
        if folded in seen:
            raise Refusal("E_BUNDLE_PATH", f"“{name}” is in the bundle twice.", status=400)
        seen.add(folded)
    for name in names:
        if any(str(parent) in seen for parent in PurePosixPath(name.casefold()).parents):
            raise Refusal("E_BUNDLE_PATH", f"“{name}” lies in a folder that is also a file.", status=400)


def _refuse_bad_entry(entry: zipfile.ZipInfo) -> None:
    mode = entry.external_attr >> 16
    problem = _name_problem(entry)
    if problem:
        pass
    elif entry.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        problem = "is not a plain file"
    elif mode & (stat.S_ISUID | stat.S_ISGID):
        problem = "asks for another user's rights"
    elif entry.flag_bits & 0x1:
        problem = "is encrypted"
    elif entry.compress_type not in METHODS:
        problem = "is compressed in an unusual way"
    elif entry.file_size > MAX_RATIO * max(entry.compress_size, 512):
        problem = "unpacks to far more than it is"
    if problem:
        raise Refusal("E_BUNDLE_PATH", f"“{entry.filename[:80]!a}” {problem}.", status=400)


def _name_problem(entry: zipfile.ZipInfo) -> str:
    name = entry.filename
    deceptive = not is_plain_text(name) or not name.isprintable() or "\\" in name or ":" in name
    if deceptive or entry.orig_filename != name or len(name) > MAX_NAME:
        return "has a name that could deceive a reader"
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or str(PurePosixPath(name)) != name.removesuffix("/") or not parts:
        return "would be unpacked outside its folder"
    return ""
