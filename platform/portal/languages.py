"""In which language an answer is: the person's own, else what the browser asks for; the API's is English."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header

from accounts.models import User
from portal import catalogues

API = "/api/"


class Languages:
    """Answers in the reader's language, and says in which."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        catalogues.join()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(API):
            return self.get_response(request)
        chosen = request.user.language if isinstance(request.user, User) else ""
        language = language_of(request, chosen)
        with translation.override(language):
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ["Accept-Language"])
        return response


def language_of(request: HttpRequest, chosen: str = "") -> str:
    """A language of the settings: the one chosen, else the first that the browser asks for, else English."""
    if chosen:
        return supported(chosen)
    # not Django's own search, which also reads a cookie
    for tag, _ in parse_accept_lang_header(request.headers.get("Accept-Language", "").lower()):
        if tag[:2] in {name[:2] for name, _ in settings.LANGUAGES}:
            return supported(tag)
    return settings.LANGUAGE_CODE


def supported(tag: str) -> str:
    """The language of the settings that a tag such as `de-at` or `en` stands for; English for others."""
    return next((name for name, _ in settings.LANGUAGES if name[:2] == tag[:2]), settings.LANGUAGE_CODE)
