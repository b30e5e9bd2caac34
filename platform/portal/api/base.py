"""What every endpoint of the API stands on.

A resource is a view set that says which rows its user may see (`selector`); methods and actions that a route does not
name are refused by REST framework (405), rows outside of the selector do not exist (404). Bodies are read by an `Input`
serializer, which refuses fields that it does not know, and written by an `Output`. Writes call services.

    class Sites(Resource):
        selector = staticmethod(site_selectors.visible_to)
        output = SiteOut

        @describe(output=SiteOut, many=True)
        def list(self, request: PersonRequest) -> Response:
            return self.page(self.rows())

        @describe(input=NewSite, output=SiteOut, status=201)
        def create(self, request: PersonRequest) -> Response:
            site = create_site(**self.read(NewSite), by=request.user)
            return self.answer(site, status=201)

    path("sites", Sites.as_view({"get": "list", "post": "create"}), name="sites")
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, TypeVar, cast
from uuid import UUID

from django.db.models import Model, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.models import User
from fedstudy_core.errors import NotFound
from portal.api.conditions import Conditional
from portal.api.pagination import page_of

M = TypeVar("M", bound=Model)
MOST_TOLD = 30
PAGE_PARAMETERS = (
    OpenApiParameter("cursor", str, description="`next` of the page before"),
    OpenApiParameter("limit", int, description="Rows in a page, at most 200"),
)


class PersonRequest(Request):
    """A request of somebody who has signed in (for type checkers; REST framework makes plain requests)."""

    user: User


class Output(serializers.Serializer[Any]):
    """What the API writes: plain fields, nothing that can be saved."""


class Input(serializers.Serializer[Any]):
    """What the API reads: plain fields; a field that it does not know is an error, not a thing to ignore."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """The fields; who chose what is not offered is told what is."""
        fields = super().get_fields()
        for field in fields.values():
            choice = getattr(field, "child", field)
            if isinstance(choice, serializers.ChoiceField) and len(choice.choices) <= MOST_TOLD:
                offered = ", ".join(map(str, choice.choices))
                choice.error_messages["invalid_choice"] = f"“{{input}}” is none of: {offered}."
        return fields

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """True or false, with its default where a form leaves it out too (to REST framework a form's silence is a no)."""

    default_empty_html = serializers.empty


class Resource(Conditional, ViewSet):
    """A resource of the API. Subclasses give `selector` and `output`.

    Attributes:
        selector: rows that a user may see.
        output: serializer of one row.
        ordering: order of lists; ends in a unique column.
    """

    selector: "ClassVar[staticmethod[[User], QuerySet[Any]]]"
    output: ClassVar[type[serializers.BaseSerializer[Any]]]
    ordering: ClassVar[tuple[str, ...]] = ("-created_at", "id")

    def rows(self) -> QuerySet[Any]:
        """The rows that the user may see."""
        return type(self).selector(cast(User, self.request.user))

    def row(self, id: UUID) -> Any:
        """One row; NotFound (E_NOT_FOUND) when there is none, or none that the user may see."""
        return find(self.rows(), id)

    def read(self, serializer: type[Input]) -> dict[str, Any]:
        """The request's body, checked."""
        return checked(serializer, self.request.data)

    def query(self, serializer: type[Input]) -> dict[str, Any]:
        """The request's query parameters, checked (`cursor` and `limit` belong to the pagination)."""
        given = self.request.query_params.dict()
        return checked(serializer, {name: given[name] for name in given if name not in ("cursor", "limit")})

    def answer(
        self, value: Any, serializer: type[serializers.BaseSerializer[Any]] | None = None, *, status: int = 200
    ) -> Response:
        """One object as an answer."""
        chosen = serializer or self.output
        return Response(chosen(value, context={"request": self.request}).data, status=status)

    def page(
        self,
        rows: QuerySet[Any],
        serializer: type[serializers.BaseSerializer[Any]] | None = None,
        *,
        ordering: tuple[str, ...] | None = None,
    ) -> Response:
        """One page of a list."""
        chosen = serializer or self.output
        found = page_of(rows, self.request, ordering or self.ordering)
        shown = chosen(found.rows, many=True, context={"request": self.request})
        return Response({"results": shown.data, "next": found.older or None})

    def done(self) -> Response:
        """The answer to something that has no content."""
        return Response(status=204)


def find(rows: QuerySet[M], id: UUID) -> M:
    """The row with this id; NotFound otherwise, in the same words whether it is foreign or does not exist."""
    row = rows.filter(pk=id).first()
    if row is None:
        raise NotFound("E_NOT_FOUND")
    return row


def checked(serializer: type[Input], data: Any) -> dict[str, Any]:
    """Validated input; raises REST framework's ValidationError, which becomes E_INVALID with errors by field."""
    form = serializer(data=data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


def describe(
    summary: str,
    *,
    input: Any = None,
    output: Any = None,
    status: int = 200,
    many: bool = False,
    media_type: str = "application/octet-stream",
    parameters: Sequence[Any] = (),
) -> Callable[[Any], Any]:
    """Describe an operation for the OpenAPI document.

    Args:
        output: serializer of the answer; `bytes` for a file, None for no content.
        many: the answer is a page of them.
        media_type: of a file.
        parameters: query parameters, as serializers.
    """
    responses: dict[Any, Any] = {204: None}
    if output is bytes:
        responses = {(status, media_type): OpenApiTypes.BINARY}
    elif output is not None:
        responses = {status: _page_of(output) if many else output}
    return extend_schema(
        summary=summary,
        request=input,
        responses=responses,
        parameters=[*parameters, *(PAGE_PARAMETERS if many else ())],
    )


@cache
def _page_of(output: type[serializers.BaseSerializer[Any]]) -> Any:
    fields = {"results": output(many=True), "next": serializers.CharField(allow_null=True)}
    return inline_serializer(f"{output.__name__.removesuffix('Out')}Page", fields)
