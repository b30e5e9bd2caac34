"""The door for contents too large for a message: nodes fetch and hand them in as one body each.

It stands before Django, which would write a body to disk before anybody looks at it. A request is signed by the node
like every other (its path names the body) and shows the ticket of its message (`federation.runs.tickets`). A node may
send the same request twice: nothing is counted, and the same bytes come to lie in the same place.

GET sends the content, from the byte on that a range names. PUT takes one, PATCH goes on where a broken PUT stopped
("Upload-Offset"), HEAD says how much has come.
"""

from __future__ import annotations

import structlog
from asgiref.sync import sync_to_async
from django.db import connection

from federation.runs import tickets
from federation.runs.storage import shelf
from federation.runs.tickets import Ticket
from fedstudy_core import signed_request
from fedstudy_core.errors import FedStudyError, Forbidden, Invalid, NotFound
from fedstudy_core.freight import OFFSET, PREFIX, SHA256, TICKET
from portal.api.node_auth import acting_node
from portal.bodies import Headers, headers_of, number_in, refuse, say_how_much, send_file, send_head, take
from portal.body_limit import Application, Receive, Scope, Send

log = structlog.get_logger(__name__)

SIGNED = (signed_request.NODE, signed_request.TIMESTAMP, signed_request.SEQUENCE, signed_request.SIGNATURE)


class FreightDoor:
    """ASGI middleware: answers what is below `PREFIX` and hands on everything else."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await _answer(scope, receive, send)
        else:
            await self._application(scope, receive, send)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    headers = headers_of(scope)
    method, sha256 = scope["method"], scope["path"].removeprefix(PREFIX)
    try:
        ticket = await sync_to_async(_admitted)(method, scope["raw_path"].decode("latin-1"), headers)
        if not SHA256.fullmatch(sha256):
            raise NotFound("E_NOT_FOUND")
        match method:
            case "GET":
                if sha256 != ticket.sha256:
                    raise NotFound("E_NOT_FOUND")
                await send_file(shelf().offered(ticket.run, sha256), headers, send)
            case "HEAD":
                await say_how_much(shelf().arriving(ticket.run, ticket.answer), sha256, send)
            case "PUT" | "PATCH":
                offset = number_in(headers, OFFSET) if method == "PATCH" else 0
                await _take(ticket, sha256, offset, number_in(headers, "content-length"), receive)
                await send_head(send, 204, {})
            case _:
                raise Invalid("E_METHOD", status=405)
    except FedStudyError as error:
        await refuse(send, error)
    except OSError as error:
        log.error("freight_not_written", error=str(error))
        await refuse(send, FedStudyError("E_STORAGE_FULL", status=507))


def _admitted(method: str, path: str, headers: Headers) -> Ticket:
    """The ticket of a node that signed the request, and whose it is. Raises Forbidden."""
    try:
        signed = {name: headers[name.lower()] for name in SIGNED if name.lower() in headers}
        node = acting_node(signed, method, path)
        ticket = tickets.read(headers.get(TICKET.lower(), ""))
        if ticket.node != str(node.pk):
            raise Forbidden("E_TICKET")
        return ticket
    finally:
        if not connection.in_atomic_block:
            connection.close()


async def _take(ticket: Ticket, sha256: str, offset: int, length: int, receive: Receive) -> None:
    """Write what comes. Raises Refusal, OSError."""
    if offset + length > ticket.most:
        raise Invalid("E_TOO_LARGE", f"An answer has at most {ticket.most} bytes.", status=413)
    await take(shelf().arriving(ticket.run, ticket.answer), sha256, offset, length, receive)
