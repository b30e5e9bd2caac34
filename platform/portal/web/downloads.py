"""Tables as files: CSV for spreadsheets, JSON and JSON lines for programs; and several files as one."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from portal.downloads import file_response, name_file

Row = Mapping[str, Any]
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_PIECE = 64 * 1024


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


def zip_stream(request: HttpRequest, name: str, files: Iterable[tuple[str, Iterable[bytes]]]) -> HttpResponseBase:
    """Files of any length in one zip file; each is read while it is sent."""
    return _sent(request, name, _zipped(files), "application/zip")


class _Sink(io.RawIOBase):
    """What was written and not taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def take(self, least: int = 1) -> Iterator[bytes]:
        if len(self._held) >= least:
            yield bytes(self._held)
            self._held.clear()


def _zipped(files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, pieces in files:
            with archive.open(name, "w", force_zip64=True) as file:
                for piece in pieces:
                    file.write(piece)
                    yield from sink.take(_PIECE)
    yield from sink.take()


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
        if size >= _PIECE:
            yield "".join(held).encode()
            held, size = [], 0
    yield "".join(held).encode()


async def _one_by_one(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, each made in the thread of the request."""

    def following() -> bytes:
        return next(pieces, b"")

    while piece := await sync_to_async(following)():
        yield piece


def _stream(request: HttpRequest, name: str, lines: Iterable[str], kind: str) -> HttpResponseBase:
    return _sent(request, name, _pieces(lines), kind)


def _sent(request: HttpRequest, name: str, pieces: Iterator[bytes], kind: str) -> HttpResponseBase:
    """Under ASGI a plain iterator would be read to its end before anything is sent."""
    content = _one_by_one(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type=kind)
    name_file(response, name)
    return response
