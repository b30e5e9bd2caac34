"""Tables as files: CSV for spreadsheets, JSON and JSON lines for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from portal.downloads import PIECE, file_response, sent_in_pieces

Row = Mapping[str, Any]
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_file(name: str, rows: Sequence[Row], columns: Sequence[str] = ()) -> HttpResponse:
    """The rows as a CSV file, its columns in the order of their first appearance.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    return file_response(name, "".join(_csv_lines(rows, names)), "text/csv; charset=utf-8")


def json_file(name: str, value: Any) -> HttpResponse:
    """A value as a JSON file."""
    return file_response(name, json.dumps(value, indent=1, ensure_ascii=False) + "\n", "application/json")


def csv_stream(request: HttpRequest, name: str, rows: Iterable[Row], columns: Sequence[str]) -> HttpResponseBase:
    """A CSV file of any length with these columns; rows are read while it is sent."""
    return _stream(request, name, _csv_lines(rows, columns), "text/csv; charset=utf-8")


def json_lines_stream(request: HttpRequest, name: str, rows: Iterable[Row]) -> HttpResponseBase:
    """One JSON object a line, any number of them; rows are read while it is sent."""
    lines = (f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    return _stream(request, name, lines, "application/x-ndjson; charset=utf-8")


def _csv_lines(rows: Iterable[Row], names: Sequence[str]) -> Iterator[str]:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        yield text.getvalue()
        text.seek(0)
        text.truncate()
        writer.writerow([_cell(row.get(name)) for name in names])
    yield text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value


def _pieces(lines: Iterable[str]) -> Iterator[bytes]:
    """The lines in pieces of a size that is worth sending."""
    held: list[str] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= PIECE:
            yield "".join(held).encode()
            held, size = [], 0
    if held:
        yield "".join(held).encode()


def _stream(request: HttpRequest, name: str, lines: Iterable[str], kind: str) -> HttpResponseBase:
    return sent_in_pieces(request, name, _pieces(lines), kind)
