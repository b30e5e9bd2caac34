"""Lists of the API: `{"results": [...], "next": cursor | null}`."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from portal.keysets import Keyset, Page, UnknownKey

PAGE, LARGEST = 50, 200


def page_of(rows: QuerySet[Any], request: Request, ordering: tuple[str, ...]) -> Page[Any]:
    """One page by an opaque cursor: `?cursor=` is the `next` of the page before, `?limit=` at most 200 rows.

    Args:
        ordering: columns that are never null; the last one is unique.

    Raises:
        NotFound: for a cursor that this portal did not make: it leads nowhere.
    """
    try:
        return Keyset(ordering).page(rows, _size(request), after=request.query_params.get("cursor", ""))
    except UnknownKey as error:
        raise NotFound("Invalid cursor") from error


def _size(request: Request) -> int:
    """The rows that are asked for; what is no number of rows is left aside."""
    asked = request.query_params.get("limit", "")
    return min(int(asked[:9]), LARGEST) if asked.isascii() and asked.isdecimal() and int(asked[:9]) else PAGE
