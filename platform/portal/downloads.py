"""Answers that a browser saves as files and shows nothing of: whole, piece by piece, or several files as one."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

BYTES = "application/octet-stream"
PIECE = 64 * 1024
LOOK_S = 0.1


def file_response(name: str, content: bytes | str, kind: str = BYTES) -> HttpResponse:
    """The content as a file of that name and media type."""
    response = HttpResponse(content, content_type=kind)
    name_file(response, name)
    return response


def name_file(response: HttpResponseBase, name: str) -> None:
    """Have what is answered saved under this name, or one that the browser makes up where there is none."""
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"


def zip_stream(
    request: HttpRequest, name: str, files: Iterable[tuple[str, Iterable[bytes]]], mark: str = ""
) -> HttpResponseBase:
    """Files of any length in one zip file, with a mark as its comment; each is read while it is sent.

    A piece without content says that there is nothing yet; it is asked for the next one a moment later.
    """
    return sent_in_pieces(request, name, _zipped(files, mark), "application/zip")


def sent_in_pieces(request: HttpRequest, name: str, pieces: Iterator[bytes], kind: str) -> HttpResponseBase:
    """A file whose pieces are made while it is sent; under ASGI a plain iterator would be read to its end before.

    An empty piece says that there is nothing yet; no thread is held until the next one is asked for.
    """
    content = _one_by_one(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type=kind)
    name_file(response, name)
    return response


async def _one_by_one(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, each made in the thread of the request."""

    def following() -> bytes | None:
        return next(pieces, None)

    while (piece := await sync_to_async(following)()) is not None:
        if piece:
            yield piece
        else:
            await asyncio.sleep(LOOK_S)


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


def _zipped(files: Iterable[tuple[str, Iterable[bytes]]], mark: str) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.comment = mark.encode()
        for name, pieces in files:
            with archive.open(name, "w", force_zip64=True) as file:
                for piece in pieces:
                    file.write(piece)
                    yield from sink.take(PIECE if piece else 1)
                    if not piece:
                        yield b""
    yield from sink.take()
