"""Lists of the API: `{"results": [...], "next": cursor | null}`."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ValidationError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response


class Pages(CursorPagination):
    """Stable pages by an opaque cursor: `?cursor=` is the `next` of the page before, `?limit=` at most 200 rows.

    A view's `ordering` must end in a unique column.
    """

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering = ("-created_at", "id")

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """One page; a cursor that this portal did not make leads nowhere (404)."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValidationError, ValueError, OverflowError) as error:
            raise NotFound(self.invalid_cursor_message) from error

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self._next_cursor()})

    def _next_cursor(self) -> str | None:
        link = self.get_next_link()
        if link is None:
            return None
        return parse_qs(urlsplit(link).query)[self.cursor_query_param][0]
