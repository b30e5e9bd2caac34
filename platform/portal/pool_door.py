"""The door for pooled objects: a site's node hands one in, encrypted, and the study's pool node fetches it.

As `portal.freight`, which see, and by the same means; who may do what an object's row says, in the place of a ticket.
What is not encrypted is not written down, not even for a moment.
"""

from __future__ import annotations

import re
from uuid import UUID

import structlog
from asgiref.sync import sync_to_async
from django.db import connection

from audit.context import under
from fedstudy_core.errors import FedStudyError, Forbidden, Invalid, NotFound
from fedstudy_core.freight import OFFSET
from nodes.registry.models import Node
from portal.api.node_auth import acting_node
from portal.bodies import Headers, headers_of, number_in, refuse, say_how_much, send_file, send_head, take
from portal.body_limit import Application, Message, Receive, Scope, Send
from portal.circumstances import NODE
from portal.freight import SIGNED
from studies.pooling import objects, selectors, storage
from studies.pooling.models import PooledObject

log = structlog.get_logger(__name__)

PREFIX = "/api/v1/node/pool/objects/"
_PATH = re.compile(PREFIX + r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/content")


def upload_path(item: PooledObject) -> str:
    """Where the bytes of an object are handed in, and fetched."""
    return f"{PREFIX}{item.pk}/content"


class PoolDoor:
    """ASGI middleware: answers for the contents of pooled objects and hands on everything else."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if asked is None:
            await self._application(scope, receive, send)
        else:
            with under(lambda: {"auth": NODE}):
                await _answer(UUID(asked[1]), scope, receive, send)


async def _answer(id: UUID, scope: Scope, receive: Receive, send: Send) -> None:
    headers, method = headers_of(scope), scope["method"]
    try:
        node, item = await sync_to_async(_admitted)(id, method, scope["raw_path"].decode("latin-1"), headers)
        match method:
            case "GET":
                await send_file(storage.file_of(item), headers, send)
            case "HEAD":
                await say_how_much(storage.arriving(item), item.sha256, send)
            case _:
                offset = number_in(headers, OFFSET) if method == "PATCH" else 0
                await _take(item, node, offset, number_in(headers, "content-length"), receive)
                await send_head(send, 204, {})
    except FedStudyError as error:
        await refuse(send, error)
    except OSError as error:
        log.error("pooled_object_not_written", error=str(error))
        await refuse(send, FedStudyError("E_STORAGE_FULL", status=507))


def _admitted(id: UUID, method: str, path: str, headers: Headers) -> tuple[Node, PooledObject]:
    """The node that signed the request, and the object, if this node may do this to it. Raises Forbidden, NotFound."""
    try:
        signed = {name: headers[name.lower()] for name in SIGNED if name.lower() in headers}
        node = acting_node(signed, method, path)
        if method not in ("GET", "HEAD", "PUT", "PATCH"):
            raise Invalid("E_METHOD", status=405)
        if method == "GET":
            item = selectors.objects_for_pool(node.pk).filter(pk=id, state="complete").first()
        else:
            item = selectors.objects_of_site(node.pk).filter(pk=id).first()
        if item is None:
            raise NotFound("E_NOT_FOUND")
        if not item.consent.is_valid:
            raise Forbidden("E_NO_CONSENT")
        return node, item
    finally:
        _let_go()


async def _take(item: PooledObject, node: Node, offset: int, length: int, receive: Receive) -> None:
    """Write what comes, and keep it once it is whole. Raises Refusal, OSError."""
    if offset + length != item.size:
        raise Invalid("E_TOO_LARGE", f"This object has {item.size} bytes.", status=413)
    await sync_to_async(_begin)(item)
    coming = receive if offset else await _sealed(item, node, receive)
    try:
        whole = await take(storage.arriving(item), item.sha256, offset, length, coming)
    except Invalid as error:
        if error.code != "E_HASH":
            raise
        await sync_to_async(_refuse)(item, node, "E_DIGEST")
        raise Invalid("E_DIGEST", status=422) from error
    if not whole:
        return
    with storage.file_of(item).open("rb") as file:
        is_sealed = file.read(len(objects.SEALED)) == objects.SEALED
    if not is_sealed:  # begun by a body that broke off within the first bytes
        await sync_to_async(_refuse)(item, node, "E_NOT_SEALED")
        raise Invalid("E_NOT_SEALED", status=422)
    await sync_to_async(_complete)(item, node)


async def _sealed(item: PooledObject, node: Node, receive: Receive) -> Receive:
    """The same body, once its first bytes are those of an encrypted file. Raises Invalid E_NOT_SEALED."""
    read: list[Message] = []
    head, more = b"", True
    while more and len(head) < len(objects.SEALED):
        message = await receive()
        read.append(message)
        head += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    is_cut_off = read[-1]["type"] != "http.request"
    if not head.startswith(objects.SEALED) and not (is_cut_off and objects.SEALED.startswith(head)):
        await sync_to_async(_refuse)(item, node, "E_NOT_SEALED")
        raise Invalid("E_NOT_SEALED", status=422)

    async def again() -> Message:
        return read.pop(0) if read else await receive()

    return again


def _begin(item: PooledObject) -> None:
    try:
        objects.begin_object(item=item)
    finally:
        _let_go()


def _complete(item: PooledObject, node: Node) -> None:
    try:
        objects.complete_object(item=item, by=node)
    finally:
        _let_go()


def _refuse(item: PooledObject, node: Node, code: str) -> None:
    try:
        objects.refuse_object(item=item, code=code, by=node)
    finally:
        _let_go()


def _let_go() -> None:
    """Hold no connection to the database: what comes may last for minutes."""
    if not connection.in_atomic_block:
        connection.close()
