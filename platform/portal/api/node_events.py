"""The connection that a node holds open to hear at once that something waits for it."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from fedstudy_core import signed_request
from fedstudy_core.errors import FedStudyError, Forbidden
from nodes.registry.models import Node
from portal import wakes
from portal.api.node_auth import CHALLENGE, NodeSignature
from portal.api.problems import MEDIA_TYPE, as_json, problem


@method_decorator(csrf_exempt, name="dispatch")
class NodeEvents(View):
    """Server-sent events: `message` whenever the SuperLink has something for the node, `news` when the portal has."""

    http_method_names = ("get",)

    async def get(self, request: HttpRequest) -> HttpResponseBase:
        """Hold the connection open. A node that is not let in gets a problem."""
        try:
            node = await sync_to_async(_signed_in)(request)
        except FedStudyError as error:
            return _refusal(error)
        response = StreamingHttpResponse(wakes.stream(node.pk), content_type="text/event-stream")
        # What stands between would keep events back until many have come.
        response.headers["X-Accel-Buffering"] = "no"
        return response

    async def http_method_not_allowed(  # type: ignore[override]
        self, request: HttpRequest, *args: object, **kwargs: object
    ) -> JsonResponse:
        """A problem like every other; who signs nothing learns nothing of the methods."""
        return as_json("E_METHOD", 405) if signed_request.NODE in request.headers else _refusal(UNSIGNED)


UNSIGNED = Forbidden("E_AUTHENTICATION", status=401)


def _refusal(error: FedStudyError) -> JsonResponse:
    body = problem(error.code, error.detail, error.status, error.errors)
    answer = JsonResponse(body, status=error.status, content_type=MEDIA_TYPE)
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = CHALLENGE
    return answer


def _signed_in(request: HttpRequest) -> Node:
    """The confirmed node that signed the request. The database is let go: the answer may last for minutes."""
    try:
        found = NodeSignature().authenticate(request)
        if found is None:
            raise UNSIGNED
        node, _ = found
        if not node.may_act:
            raise Forbidden("E_NODE", "This node waits for its site's admin, or does not take part any more.")
        return node
    finally:
        if not connection.in_atomic_block:
            connection.close()
