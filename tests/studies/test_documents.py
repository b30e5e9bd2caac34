"""What a file is that somebody uploads as a protocol."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from studies.lifecycle.documents import ODT, form_of, is_named_so


def packed(*names: str, first: tuple[str, bytes] | None = None, types: bytes = b"<xml/>") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        if first is not None:
            archive.writestr(zipfile.ZipInfo(first[0]), first[1])
        for name in names:
            archive.writestr(name, types if name == "[Content_Types].xml" else b"<xml/>")
    return out.getvalue()


def packed_otherwise(broken: bool) -> bytes:
    """Word whose list of parts is packed in a way that no office program uses, and may be damaged."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("[Content_Types].xml", b"<xml/>" * 20)
        archive.writestr("word/document.xml", b"<xml/>")
    content = bytearray(out.getvalue())
    if broken:
        content[54:60] = b"\xff" * 6
    return bytes(content)


def word(types: str, encoding: str = "utf-8") -> bytes:
    return packed("[Content_Types].xml", "word/document.xml", types=types.encode(encoding))


DOCX = packed("_rels/.rels", "[Content_Types].xml", "word/document.xml")
FILES = {
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "pdf"),
    "Word": (DOCX, "docx"),
    "Word with a comment behind it": (DOCX[:-2] + struct.pack("<H", 3) + b"abc", "docx"),
    "OpenDocument": (packed("content.xml", first=("mimetype", ODT)), "odt"),
    "Markdown": ("# Prüfplan\r\n\n* Ziel\t1\n".encode(), "text"),
    "text with a mark of its order": ("\ufeffPrüfplan".encode(), "text"),
    "nothing": (b"", None),
    "only space": (b" \n", None),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00", None),
    "a program": (b"\x7fELF\x02\x01\x01\x00", None),
    "text in another encoding": ("Prüfplan".encode("latin-1"), None),
    "text with control characters": (b"a\x1b[31m", None),
    "Word of old times": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", None),
    "Word with macros": (packed("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"), None),
    "Word with macros of another name": (word('<Override ContentType="application/vnd.ms-office.vbaProject"/>'), None),
    "Word of a form with macros": (word('<Override ContentType="x.macroEnabled.main+xml"/>'), None),
    "Word of such a form in UTF-16": (word('<Override ContentType="x.macroEnabled.main+xml"/>', "utf-16"), None),
    "Word with something hidden": (word('<Override ContentType="x.&#109;acroEnabled.main+xml"/>'), None),
    "Word with parts too long to read": (word(" " * 2**20 + "x"), None),
    "Word with a part twice": (packed("[Content_Types].xml", "[content_types].xml", "word/document.xml"), None),
    "OpenDocument with macros": (packed("content.xml", "Basic/Standard/Module1.xml", first=("mimetype", ODT)), None),
    "OpenDocument with scripts": (packed("content.xml", "Scripts/python/a.py", first=("mimetype", ODT)), None),
    "OpenDocument without content": (packed("meta.xml", first=("mimetype", ODT)), None),
    "a spreadsheet": (packed("[Content_Types].xml", "xl/workbook.xml"), None),
    "an OpenDocument spreadsheet": (packed(first=("mimetype", ODT.replace(b"text", b"spreadsheet"))), None),
    "a zip file": (packed("study.csv"), None),
    "Word packed otherwise": (packed_otherwise(broken=False), None),
    "Word packed otherwise, and damaged": (packed_otherwise(broken=True), None),
    "half a zip file": (DOCX[: len(DOCX) // 2], None),
    "a zip file whose end is cut": (DOCX[:-6], None),
    "a zip file with a long list": (DOCX[:-10] + struct.pack("<L", 2**21) + DOCX[-6:], None),
    "a zip file with another list": (DOCX[:-22] + b"PK\x06\x07".ljust(20, b"\0") + DOCX[-22:], None),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_content_says_what_a_file_is(name: str) -> None:
    content, form = FILES[name]
    assert form_of(content) == form


@pytest.mark.parametrize(
    ("filename", "form", "fits"),
    [
        ("Plan.PDF", "pdf", True),
        ("plan.v2.docx", "docx", True),
        ("plan.odt", "odt", True),
        ("plan.md", "text", True),
        ("plan.docm", "docx", False),
        ("plan.pdf", "text", False),
        ("plan.bat", "text", False),
        ("plan.html", "text", False),
        ("plan.md.hta", "text", False),
        ("plan", "text", False),
        (".md", "text", False),
    ],
)
def test_a_name_says_the_form(filename: str, form: str, fits: bool) -> None:
    assert is_named_so(filename, form) is fits
