"""Which files may be a study's protocol. What a file is, its content says; its name may say nothing else."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Collection, Mapping
from pathlib import PurePath
from types import MappingProxyType

from fedstudy_core.archives import DAMAGED, METHODS

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
    """What an office document in a zip file is; None where the file is broken, or its list too large for one."""
    if not _has_plain_end(content):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {item.filename.lower(): item for item in archive.infolist()}
            if len(parts) < len(archive.infolist()):
                return None
            if content[30:38] == b"mimetype" and content[38:].startswith(ODT + b"PK"):  # it begins with its type
                return "odt" if _is_odt(parts) else None
            return "docx" if _is_docx(archive, parts) else None
    except DAMAGED:
        return None


def _has_plain_end(content: bytes) -> bool:
    """Whether a zip file's end names a list of contents of a size that may be read."""
    at = content.rfind(_END, max(0, len(content) - _END_REACH))
    if at < 0 or len(content) < at + _END_FORM.size:
        return False
    listed: int = _END_FORM.unpack_from(content, at)[5]
    return listed <= _MOST_LISTED and not content[max(0, at - _LOCATOR_SIZE) : at].startswith(_LOCATOR)


def _is_odt(parts: Collection[str]) -> bool:
    return {*parts} >= ODT_PARTS and not any(name.startswith(ODT_MACROS) for name in parts)


def _is_docx(archive: zipfile.ZipFile, parts: Mapping[str, zipfile.ZipInfo]) -> bool:
    """Whether it has no macros by the names of its parts and by its own list of them, in whatever Unicode that is."""
    if not {*parts} >= DOCX_PARTS or any(name.endswith("vbaproject.bin") for name in parts):
        return False
    if parts[TYPES].compress_type not in METHODS:
        return False
    with archive.open(parts[TYPES]) as file:
        types = file.read(_MOST_LISTED + 1)
    read = types.replace(b"\0", b"").lower()
    return len(types) <= _MOST_LISTED and not any(word in read for word in _DOCX_MACROS)


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and _CONTROLS.isdisjoint(text)
