"""Answers to failures that no view caught: problem details for the API, pages for people."""

import uuid

import structlog
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from portal.api import problems
from portal.web.advice import TOO_OLD, Advice, advice_for, words_of
from portal.web.pages import render_trouble

API = "/api/"
log = structlog.get_logger("portal.request")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, such as for a host name that is not the portal's; nothing of the request is trusted."""
    return _bare(request, 400, "E_INVALID")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 that no view explained."""
    return _framed(request, 403, "E_FORBIDDEN")


def csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form without its token; why is in the log."""
    return _framed(request, 403, "E_CSRF", advice=TOO_OLD)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 for an address that does not exist; who is signed in keeps their navigation."""
    return _framed(request, 404, "E_NOT_FOUND")


def server_error(request: HttpRequest) -> HttpResponse:
    """500; what happened is in the log, not in the answer. The page asks the database nothing."""
    return _bare(request, 500, "E_SERVER")


def too_large_page(path: str, limit: int) -> tuple[str, bytes]:
    """The page for a request that was refused before Django saw it, and the id under which the log has it."""
    identity = uuid.uuid4().hex
    log.info("request", path=path, status=413, request_id=identity)
    advice = advice_for(413, f"At most {limit // 1024:,} KiB are taken. Nothing of it was kept.")
    words = words_of(413, code="E_TOO_LARGE", advice=advice)
    return identity, render_to_string("errors/error.html", {**words, "request_id": identity}).encode()


def _framed(request: HttpRequest, status: int, code: str, advice: Advice | None = None) -> HttpResponse:
    if request.path.startswith(API):
        return problems.as_json(code, status)
    return render_trouble(request, words_of(status, code=code, advice=advice))


def _bare(request: HttpRequest, status: int, code: str) -> HttpResponse:
    if request.path.startswith(API):
        return problems.as_json(code, status)
    page = render_to_string("errors/error.html", words_of(status, code=code))
    return HttpResponse(page, status=status)
