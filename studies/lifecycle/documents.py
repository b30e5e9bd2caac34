"""Which files may be a study's protocol. What a file is, its content says and never its name."""

from __future__ import annotations

import io
import struct
import zipfile

ODT = b"application/vnd.oasis.opendocument.text"
DOCX_PARTS = frozenset({"[Content_Types].xml", "word/document.xml"})
MACROS = "word/vbaProject.bin"
# A zip file ends with a record of this form, behind which at most a comment of 64 KiB stands.
_END, _END_FORM, _END_REACH = b"PK\x05\x06", struct.Struct("<4s4H2LH"), 22 + 0xFFFF
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_MOST_LISTED = 2**20  # bytes of a zip file's list of contents
_CONTROLS = frozenset(map(chr, range(32))) - frozenset("\t\n\r\f")


def form_of(content: bytes) -> str | None:
    """ "pdf", "docx" (without macros), "odt" or "text" (UTF-8, so also Markdown); None for anything else."""
    if content.startswith(b"%PDF-"):
        return "pdf"
    if content.startswith(b"PK\x03\x04"):
        return _packed(content)
    return "text" if _is_text(content) else None


def _packed(content: bytes) -> str | None:
    """What an office document in a zip file is; an OpenDocument file begins with its type as it stands."""
    if content[30:38] == b"mimetype" and content[38:].startswith(ODT + b"PK"):
        return "odt"
    names = _names_in(content)
    return "docx" if names >= DOCX_PARTS and MACROS not in names else None


def _names_in(content: bytes) -> frozenset[str]:
    """The names of what a zip file holds; none where it is broken, or its list is larger than any document's."""
    at = content.rfind(_END, max(0, len(content) - _END_REACH))
    if at < 0 or len(content) < at + _END_FORM.size:
        return frozenset()
    listed = _END_FORM.unpack_from(content, at)[5]
    if listed > _MOST_LISTED or content[max(0, at - _LOCATOR_SIZE) : at].startswith(_LOCATOR):
        return frozenset()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return frozenset(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return frozenset()


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and _CONTROLS.isdisjoint(text)
