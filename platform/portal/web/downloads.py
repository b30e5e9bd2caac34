"""Tables as files: CSV for spreadsheets, JSON and JSON lines for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.http import HttpResponse

Row = Mapping[str, Any]
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_file(name: str, rows: Sequence[Row], columns: Sequence[str] = ()) -> HttpResponse:
    """The rows as a CSV file, its columns in the order of their first appearance.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return _file(name, text.getvalue(), "text/csv; charset=utf-8")


def json_file(name: str, value: Any) -> HttpResponse:
    """A value as a JSON file."""
    return _file(name, json.dumps(value, indent=1, ensure_ascii=False) + "\n", "application/json")


def json_lines(name: str, rows: Iterable[Row]) -> HttpResponse:
    """One JSON object a line."""
    return _file(
        name, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), "application/x-ndjson; charset=utf-8"
    )


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value


def _file(name: str, content: str, kind: str) -> HttpResponse:
    response = HttpResponse(content, content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
