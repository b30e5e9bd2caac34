"""How the OpenAPI document speaks of operations and errors."""

from typing import Any, Literal

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from portal.api.conditions import IF_MATCH, IF_NONE_MATCH, Conditional
from portal.api.idempotency import HEADER, REPLAYED, WRITES, Repeatable
from portal.api.problems import MEDIA_TYPE

KEY_PARAMETERS = (
    OpenApiParameter(
        HEADER,
        {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[!#-+\--:<-\[\]-~]+$"},
        OpenApiParameter.HEADER,
        description="A text of your own for this one write, such as a UUID. For 24 hours the same request with the "
        "same key gets the answer of the first again and does nothing; another request with it is refused (422), and "
        "so is the same one while it is in work (409). What was refused is tried anew.",
    ),
    OpenApiParameter(
        REPLAYED,
        {"type": "string", "enum": ["true"]},
        OpenApiParameter.HEADER,
        response=[200, 201, 204],
        description="This is the answer of an earlier request with the same key",
    ),
)
ETAGS = {"type": "string", "maxLength": 2000}
READ_PARAMETERS = (
    OpenApiParameter(
        IF_NONE_MATCH, ETAGS, OpenApiParameter.HEADER, description="Answer 304 if this `ETag` still holds"
    ),
    OpenApiParameter(
        "ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="The version of what is shown"
    ),
)
WRITE_PARAMETERS = (
    OpenApiParameter(
        IF_MATCH,
        ETAGS,
        OpenApiParameter.HEADER,
        description="Write only if this `ETag` still holds: of what GET shows at this address, or, where it shows "
        "nothing, of the object itself. Otherwise 412 (`E_PRECONDITION`).",
    ),
    OpenApiParameter(
        IF_NONE_MATCH, ETAGS, OpenApiParameter.HEADER, description="`*`: write only if there is nothing yet"
    ),
)


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
    errors = FieldProblemOut(many=True, required=False)  # type: ignore[assignment]


class Operation(AutoSchema):
    """Every operation may answer with a problem; operations are grouped by the first part of their address."""

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]

    def get_operation_id(self) -> str:
        """The address without its ids, and what is done there: `studies_people_list`."""
        parts = self.path.removeprefix("/api/v1/").split("/")
        words = [part.replace("-", "_").replace(".", "_") for part in parts if not part.startswith("{")]
        return "_".join([*words, getattr(self.view, "action", None) or self.method.lower()])

    def get_override_parameters(self) -> list[Any]:
        found = list(super().get_override_parameters())
        if self.method in WRITES and isinstance(self.view, Repeatable):
            found += KEY_PARAMETERS
        if isinstance(self.view, Conditional):
            found += _conditions(self.method, self.view)
        return found

    def _is_list_view(self, serializer: Any = None) -> bool:
        # Lists are described as pages (`portal.api.base.describe`), so no answer is an array by its action's name.
        return False

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        described = OpenApiResponse(Problem, description="What went wrong")
        if self.method == "GET" and isinstance(self.view, Conditional):
            bodies["304"] = self._get_response_for_code(
                OpenApiResponse(description="Not changed"), "304", None, direction
            )
        bodies["default"] = self._get_response_for_code(described, "default", [MEDIA_TYPE], direction)
        return bodies


def _conditions(method: str, view: Conditional) -> tuple[OpenApiParameter, ...]:
    if method == "GET":
        return READ_PARAMETERS
    return WRITE_PARAMETERS if view.shown_by(getattr(view, "action_map", None)) else ()


class ConfigValue(OpenApiSerializerFieldExtension):
    """One value of a run's configuration."""

    target_class = "portal.api.runs.ConfigValueField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"oneOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}]}
