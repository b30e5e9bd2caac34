"""The OpenAPI document of the API, at /api/v1/openapi.json."""

from drf_spectacular.views import SpectacularJSONAPIView


class Document(SpectacularJSONAPIView):
    """The OpenAPI document; public, as the source code is."""
