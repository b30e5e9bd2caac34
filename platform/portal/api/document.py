"""The OpenAPI document of the API, at /api/v1/openapi.json."""

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.request import Request
from rest_framework.response import Response


class Document(SpectacularJSONAPIView):
    """The OpenAPI document; public, as the source code is."""

    def _get_schema_response(self, request: Request) -> Response:
        return Response(openapi_document())


@cache
def openapi_document() -> Any:
    """Made once a process: it takes a second, and anybody may ask for it."""
    return SchemaGenerator().get_schema(request=None, public=True)
