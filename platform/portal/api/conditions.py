"""Versions of what the API shows (`ETag`), and requests that depend on them (RFC 9110, section 13).

Every answer to a GET names its version. Who asks again with `If-None-Match` gets 304 where nothing has changed. Who
writes with `If-Match` writes only over what they have read: otherwise 412 (E_PRECONDITION), and nothing is done.

A version is the digest of what is shown: nothing else knows of all that an answer is put together from, and to whom it
is shown. Where contents have digests already (scripts, models, files), these are the versions, and 304 reads nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpResponse
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response

from fedstudy_core.errors import NotFound, Refusal
from portal.api.formats import JSONRenderer
from portal.api.idempotency import WRITES, Repeatable, in_one_transaction

IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"
NO_VERSIONS = "This address has no versions to compare with; send no condition."


class Conditional(Repeatable):
    """A view whose answers have versions.

    A write is compared with what the same address shows, or, where it shows nothing (`/runs/{id}/stop`), with the
    object itself (`retrieve`).
    """

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        method = str(request.method).lower()
        handler = getattr(self, method, None)
        if handler is not None and request.method in WRITES and {IF_MATCH, IF_NONE_MATCH} & {*request.headers}:
            setattr(self, method, partial(self._guarded, handler))
        super().initial(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer: Any = super().finalize_response(request, response, *args, **kwargs)
        if request.method in ("GET", "HEAD") and answer.status_code == 200 and not answer.streaming:
            versioned = partial(_versioned, request)
            if not isinstance(answer, Response):
                return versioned(answer)
            answer.add_post_render_callback(versioned)
        return answer

    def fetched(self, digest: str, content: Callable[[], HttpResponse]) -> HttpResponse:
        """An answer whose version is known before its content is read."""
        if _is_held(self.request, f'"{digest}"'):
            return _unchanged(f'"{digest}"')
        answer = content()
        answer.headers["ETag"] = f'"{digest}"'
        return answer

    @classmethod
    def shown_by(cls, actions: dict[str, str] | None) -> str:
        """The method of the view that shows what a write of one of its addresses is compared with; or nothing."""
        found = "get" if actions is None else actions.get("get", "retrieve")
        return "" if found == "list" or not hasattr(cls, found) else found

    def _guarded(self, handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any) -> Response:
        shown = self.shown_by(getattr(self, "action_map", None))
        if not shown:
            raise Refusal("E_PRECONDITION", NO_VERSIONS, status=412)

        def act() -> Response:
            self._hold(**kwargs)
            _check(request, self._version(getattr(self, shown), request, *args, **kwargs))
            return handler(request, *args, **kwargs)

        return in_one_transaction(act)

    def _hold(self, **kwargs: Any) -> None:
        """Keep the object from being changed until the end of the transaction; services begin with the same lock."""
        held: Any = self.row(kwargs["id"]) if "id" in kwargs else self.request.user  # type: ignore[attr-defined]
        type(held)._base_manager.select_for_update().values_list("pk").get(pk=held.pk)

    @staticmethod
    def _version(show: Callable[..., Response], *args: Any, **kwargs: Any) -> str | None:
        """The version of what is there; None where there is nothing yet."""
        try:
            return _version_of(JSONRenderer().render(show(*args, **kwargs).data))
        except NotFound:
            return None


def _check(request: Request, version: str | None) -> None:
    """Raises Refusal: E_PRECONDITION (412)."""
    wanted, unwanted = request.headers.get(IF_MATCH), request.headers.get(IF_NONE_MATCH)
    met = True
    if wanted is not None:
        met = version is not None and bool({"*", version} & {*parse_etags(wanted)})
    if unwanted is not None and version is not None:
        met = met and not {"*", version} & {*parse_etags(unwanted)}
    if not met:
        raise Refusal("E_PRECONDITION", status=412)


def _version_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _versioned(request: Request, answer: HttpResponse) -> HttpResponse:
    if "ETag" not in answer.headers:
        answer.headers["ETag"] = _version_of(answer.content)
    etag = answer.headers["ETag"]
    return _unchanged(etag) if _is_held(request, etag) else answer


def _is_held(request: Request, etag: str) -> bool:
    """Whether who asks has this version; compared weakly, as a proxy that packs answers makes versions weak."""
    given = {tag.removeprefix("W/") for tag in parse_etags(request.headers.get(IF_NONE_MATCH, ""))}
    return bool({"*", etag} & given)


def _unchanged(etag: str) -> HttpResponse:
    answer = HttpResponse(status=304, headers={"ETag": etag})
    del answer.headers["Content-Type"]
    return answer
