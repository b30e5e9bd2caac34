"""Data dictionaries in files: our own table, REDCap's, or JSON."""

from __future__ import annotations

import json
from typing import NoReturn

from fedstudy_core import dictionary_csv, redcap
from fedstudy_core.dictionary import DataDictionary, parse
from fedstudy_core.errors import Invalid
from fedstudy_core.reading import Reading
from fedstudy_core.sheets import MAX_BYTES, read_sheet


def read_file(content: bytes) -> Reading:
    """The dictionary of a file; which form it has is seen from how it begins.

    Raises:
        Invalid: E_DICTIONARY_FILE, E_DICTIONARY_COLUMN with problems by row and column; E_DICTIONARY for JSON whose
            variables do not fit.
    """
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return Reading("json", _from_json(content))
    sheet = read_sheet(content)
    if redcap.is_redcap(sheet.columns):
        return Reading("redcap", *redcap.read(sheet))
    return Reading("csv", dictionary_csv.read(sheet))


def _from_json(content: bytes) -> DataDictionary:
    if len(content) > MAX_BYTES:
        raise Invalid("E_DICTIONARY_FILE", f"A dictionary's file has at most {MAX_BYTES // 2**20} MiB.")
    try:
        return parse(json.loads(content.decode("utf-8-sig"), parse_constant=_refuse))
    except (ValueError, RecursionError) as error:
        raise Invalid("E_DICTIONARY_FILE", f"This is not JSON: {error}.") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
