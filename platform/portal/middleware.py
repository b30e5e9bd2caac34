"""Middleware of the portal: a request's identity for the logs and its context, security headers, static files."""

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware

from audit.context import under
from portal.circumstances import OfRequest

Handler = Callable[[HttpRequest], HttpResponseBase]
log = structlog.get_logger("portal.request")

PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "camera",
        "display-capture",
        "geolocation",
        "microphone",
        "payment",
        "usb",
        "browsing-topics",
    )
)
REQUEST_ID = re.compile(r"\A[A-Za-z0-9-]{8,64}\Z")


class RequestIdentity:
    """Gives every request an id, puts it into each log line, each event and the answer, and logs the request once."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        identity = given if REQUEST_ID.match(given) else uuid.uuid4().hex
        started = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=identity), under(OfRequest(request, identity)):
            response = self.get_response(request)
            milliseconds = round((time.monotonic() - started) * 1000)
            level = log.warning if response.status_code >= 500 else log.info
            level(
                "request",
                method=request.method,
                path=request.path,
                status=response.status_code,
                duration_ms=milliseconds,
            )
        response.headers["X-Request-ID"] = identity
        return response


class SecurityHeaders:
    """Headers that Django has no setting for; answers of the API are never kept by a cache."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Cache-Control", "no-store")
        return response


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise whose answers are bytes: a synchronous file iterator would block an ASGI server."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        body = b"" if found.file is None else found.file.read()
        if found.file is not None:
            found.file.close()
        response = HttpResponse(body, status=int(found.status))
        del response["content-type"]
        for name, value in found.headers:
            response[name] = value
        return response
