"""Errors of the API: problem details (RFC 9457) with a stable code and, where fields are wrong, one entry for each.

`{"type", "title", "status", "detail", "code", "errors"?: [{"field", "code", "detail"}]}`
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DataError, IntegrityError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from psycopg.errors import UniqueViolation
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts.permissions import Denied
from accounts.refusals import note_denied
from fedstudy_core.codes import CODES
from fedstudy_core.errors import FedStudyError, FieldProblem
from portal.api.formats import TooLarge

MEDIA_TYPE = "application/problem+json"
# Errors whose own words say more than the code's sentence.
SPEAKING = (exceptions.ParseError, exceptions.MethodNotAllowed, exceptions.UnsupportedMediaType)
log = structlog.get_logger("portal.api")

# What REST framework raises by itself: class -> our code. The first class that fits counts.
FRAMEWORK_CODES: tuple[tuple[type[exceptions.APIException], str], ...] = (
    (exceptions.ParseError, "E_INVALID"),
    (exceptions.NotAuthenticated, "E_AUTHENTICATION"),
    (exceptions.AuthenticationFailed, "E_AUTHENTICATION"),
    (exceptions.PermissionDenied, "E_FORBIDDEN"),
    (exceptions.NotFound, "E_NOT_FOUND"),
    (exceptions.MethodNotAllowed, "E_METHOD"),
    (exceptions.NotAcceptable, "E_MEDIA_TYPE"),
    (exceptions.UnsupportedMediaType, "E_MEDIA_TYPE"),
    (exceptions.Throttled, "E_THROTTLED"),
    (TooLarge, "E_TOO_LARGE"),
)
# What Django and the services below it raise: class -> our code and status.
OTHERS: tuple[tuple[type[Exception], str, int], ...] = (
    (Http404, "E_NOT_FOUND", 404),
    (PermissionDenied, "E_FORBIDDEN", 403),
    (SuspiciousOperation, "E_INVALID", 400),
    (DataError, "E_INVALID", 400),
    (OperationalError, "E_UNAVAILABLE", 503),
    (RedisError, "E_UNAVAILABLE", 503),
)


def problem(code: str, detail: str, status: int, errors: Sequence[FieldProblem] = ()) -> dict[str, Any]:
    """The body of a problem."""
    body: dict[str, Any] = {
        "type": f"urn:fedstudy:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = [{"field": e.field, "code": e.code, "detail": e.detail} for e in errors]
    return body


def respond(
    code: str,
    detail: str,
    status: int,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as an answer."""
    return Response(problem(code, detail, status, errors), status=status, headers=headers, content_type=MEDIA_TYPE)


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """REST framework's exception handler; what it does not know goes on to Django as a failure (500)."""
    response = _answer(error)
    if response is not None:
        set_rollback()
    if isinstance(error, Denied):
        note_denied(error, by=context["request"].user)
    return response


def _answer(error: Exception) -> Response | None:
    if isinstance(error, FedStudyError):
        return respond(error.code, error.detail, error.status, error.errors)
    if isinstance(error, exceptions.ValidationError):
        return respond("E_INVALID", CODES["E_INVALID"], 400, list(field_problems(error.detail)))
    if isinstance(error, exceptions.APIException):
        return _framework_problem(error)
    known = _known(error)
    if known is None:
        return None
    code, status = known
    log.warning("request failed", code=code, error=str(error))
    return respond(code, CODES[code], status, headers={"Retry-After": "5"} if status == 503 else None)


def _known(error: Exception) -> tuple[str, int] | None:
    """Code and status of what Django and the services below it raise; None for what nobody foresaw."""
    if isinstance(error, IntegrityError):
        return ("E_EXISTS", 409) if isinstance(error.__cause__, UniqueViolation) else None
    return next(((code, status) for kind, code, status in OTHERS if isinstance(error, kind)), None)


def _framework_problem(error: exceptions.APIException) -> Response:
    code = next((code for kind, code in FRAMEWORK_CODES if isinstance(error, kind)), "E_SERVER")
    detail = str(error.detail) if isinstance(error, SPEAKING) else CODES[code]
    headers = {}
    challenge = getattr(error, "auth_header", None)
    if challenge:
        headers["WWW-Authenticate"] = challenge
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(max(1, int(wait)))
    return respond(code, detail, error.status_code, headers=headers)


def field_problems(detail: Any, field: str = "") -> Iterator[FieldProblem]:
    """REST framework's nested validation errors as a flat list; nested fields are joined by dots."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            is_general = name == "non_field_errors"
            yield from field_problems(inner, field if is_general else f"{field}.{name}".lstrip("."))
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            is_nested = isinstance(inner, Mapping | list | tuple)
            yield from field_problems(inner, f"{field}.{index}".lstrip(".") if is_nested else field)
    else:
        yield FieldProblem(field, "E_INVALID", str(detail))


def as_json(code: str, status: int) -> JsonResponse:
    """A problem outside of REST framework's views."""
    return JsonResponse(problem(code, CODES[code], status), status=status, content_type=MEDIA_TYPE)


@csrf_exempt
def unknown_address(request: HttpRequest, path: str = "") -> JsonResponse:
    """The answer for every address under the API that does not exist."""
    return as_json("E_NOT_FOUND", 404)
