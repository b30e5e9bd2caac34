"""Which files may be a study's protocol. What a file is, its content says; its name may say nothing else."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

ODT = b"application/vnd.oasis.opendocument.text"
# Names of parts are the same in large and small letters.
TYPES = "[content_types].xml"
DOCX_PARTS = frozenset({TYPES, "word/document.xml"})
ODT_PARTS = frozenset({"content.xml"})
ODT_MACROS = ("basic/", "scripts/")
# What the list of a Word file's parts holds where there are macros, or where something may be hidden in it.
_DOCX_MACROS = (b"vbaproject", b"macroenabled", b"&", b"<!doctype")
ENDINGS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "pdf": frozenset({".pdf"}),
        "docx": frozenset({".docx"}),
        "odt": frozenset({".odt"}),
        "text": frozenset({".txt", ".text", ".md", ".markdown"}),
    }
)
# A zip file ends with a record of this form, behind which at most a comment of 64 KiB stands.
_END, _END_FORM, _END_REACH = b"PK\x05\x06", struct.Struct("<4s4H2LH"), 22 + 0xFFFF
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_MOST_LISTED = 2**20  # bytes of a zip file's list of contents, and of a Word file's list of parts
_CONTROLS = frozenset(map(chr, range(32))) - frozenset("\t\n\r\f")


def form_of(content: bytes) -> str | None:
    """ "pdf", "docx" or "odt" (both without macros), or "text" (UTF-8, so also Markdown); None for anything else."""
    if content.startswith(b"%PDF-"):
        return "pdf"
    if content.startswith(b"PK\x03\x04"):
        return _packed(content)
    return "text" if _is_text(content) else None


def is_named_so(filename: str, form: str) -> bool:
    """Whether a name has an ending of its form, so that no computer takes the file for something else."""
    return PurePath(filename).suffix.lower() in ENDINGS[form]


def _packed(content: bytes) -> str | None:
    """What an office document in a zip file is; an OpenDocument file begins with its type as it stands."""
    parts = _parts_of(content)
    if content[30:38] == b"mimetype" and content[38:].startswith(ODT + b"PK"):
        return "odt" if parts.keys() >= ODT_PARTS and not any(name.startswith(ODT_MACROS) for name in parts) else None
    if not parts.keys() >= DOCX_PARTS or any(name.endswith("vbaproject.bin") for name in parts):
        return None
    types = _read(content, parts[TYPES])
    return None if types is None or any(word in types for word in _DOCX_MACROS) else "docx"


def _parts_of(content: bytes) -> dict[str, zipfile.ZipInfo]:
    """What a zip file holds; nothing where it is broken, or its list is larger than any document's."""
    at = content.rfind(_END, max(0, len(content) - _END_REACH))
    if at < 0 or len(content) < at + _END_FORM.size:
        return {}
    listed = _END_FORM.unpack_from(content, at)[5]
    if listed > _MOST_LISTED or content[max(0, at - _LOCATOR_SIZE) : at].startswith(_LOCATOR):
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {item.filename.lower(): item for item in archive.infolist()}
            return parts if len(parts) == len(archive.infolist()) else {}
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return {}


def _read(content: bytes, part: zipfile.ZipInfo) -> bytes | None:
    """A part in small letters, whatever encoding of Unicode it is in; None where it is broken or large."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(part) as file:
            found = file.read(_MOST_LISTED + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError):
        return None
    return found.replace(b"\0", b"").lower() if len(found) <= _MOST_LISTED else None


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and _CONTROLS.isdisjoint(text)
