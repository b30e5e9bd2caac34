"""What the API reads and writes: strict JSON, and for scripts alone multipart forms."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework import exceptions, parsers, renderers

MAX_DEPTH = 32


class JSONRenderer(renderers.JSONRenderer):
    """JSON without NaN; problem details get their own media type in `portal.api.problems`."""

    charset = None

    def get_indent(self, accepted_media_type: str, renderer_context: Mapping[str, Any]) -> None:
        """One form only: a version stands for the very bytes."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object has the same name twice")
    return value


def _too_deep(value: Any, left: int = MAX_DEPTH) -> bool:
    if isinstance(value, dict):
        return left == 0 or any(_too_deep(item, left - 1) for item in value.values())
    if isinstance(value, list):
        return left == 0 or any(_too_deep(item, left - 1) for item in value)
    return False


class TooLarge(exceptions.APIException):
    """A request body over the limit (the ASGI server refuses most of them before they get here)."""

    status_code = 413
    default_detail = "The request is too large."
    default_code = "too_large"


class StrictJSONParser(parsers.BaseParser):
    """JSON in UTF-8 up to FEDSTUDY_MAX_BODY bytes: no doubled names, no NaN, no deep nesting, an object outermost."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        body = stream.read(settings.FEDSTUDY_MAX_BODY + 1)
        if len(body) > settings.FEDSTUDY_MAX_BODY:
            raise TooLarge
        try:
            value = json.loads(body.decode("utf-8"), object_pairs_hook=_unique_pairs, parse_constant=_refuse_constant)
            deep = _too_deep(value)
        except (ValueError, RecursionError) as error:
            raise exceptions.ParseError(f"The request is not JSON: {error}.") from error
        if deep:
            raise exceptions.ParseError("The request is nested too deeply.")
        if not isinstance(value, dict):
            raise exceptions.ParseError("The request must be one JSON object.")
        return value
