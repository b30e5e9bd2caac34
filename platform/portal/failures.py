"""Answers to failures that no view caught: problem details for the API, pages for people."""

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from fedstudy_core.errors import NotFound
from portal.api import problems
from portal.web.pages import render_error

API = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, such as for a host name that is not the portal's."""
    if request.path.startswith(API):
        return problems.as_json("E_INVALID", 400)
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 for an address that does not exist; who is signed in keeps their navigation."""
    if request.path.startswith(API):
        return problems.as_json("E_NOT_FOUND", 404)
    return render_error(request, NotFound("E_NOT_FOUND", "There is no page at this address."))


def server_error(request: HttpRequest) -> HttpResponse:
    """500; what happened is in the log, not in the answer."""
    if request.path.startswith(API):
        return problems.as_json("E_SERVER", 500)
    return defaults.server_error(request)
