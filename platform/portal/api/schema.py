"""How the OpenAPI document speaks of operations and errors."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

from portal.api.problems import MEDIA_TYPE


class FieldProblemOut(serializers.Serializer[Any]):
    """What is wrong with one field."""

    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """An error (RFC 9457). Programs go by `code`, people by `detail`."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    errors = FieldProblemOut(many=True, required=False)


class Operation(AutoSchema):
    """Every operation may answer with a problem; operations are grouped by the first part of their address."""

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def _get_response_bodies(self, direction: str = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        described = OpenApiResponse(Problem, description="What went wrong")
        bodies["default"] = self._get_response_for_code(described, "default", [MEDIA_TYPE], direction)
        return bodies
