"""Long lists on pages: `?after=` and `?before=` are keys of rows, and a key that is none shows the first page."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from portal.keysets import Keyset, Page, UnknownKey

M = TypeVar("M", bound=Model)
PAGE = 50


def page_of(request: HttpRequest, rows: QuerySet[M], *ordering: str, size: int = PAGE) -> Page[M]:
    """The page of a list that the address names.

    Args:
        ordering: columns that are never null; the last one is unique.
    """
    keyset = Keyset(ordering)
    try:
        return keyset.page(rows, size, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    except UnknownKey:
        return keyset.page(rows, size)
