"""Answers that a browser saves as files and shows nothing of."""

from __future__ import annotations

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

BYTES = "application/octet-stream"


def file_response(name: str, content: bytes | str, kind: str = BYTES) -> HttpResponse:
    """The content as a file of that name and media type."""
    response = HttpResponse(content, content_type=kind)
    name_file(response, name)
    return response


def name_file(response: HttpResponseBase, name: str) -> None:
    """Have what is answered saved under this name, or one that the browser makes up where there is none."""
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
