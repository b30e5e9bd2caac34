"""The agent's connection to the SuperLink: with `signed` all of the agent's own process that imports Flower.

It speaks Flower's fleet API through Flower's own client, over TLS, signed by the node's P-384 key. Flower's ready-made
connection (`http_request_response`) is not used: it stops the process on a refused key, waits a second for an object
that is not there yet, and starts threads for each message. Held by tests/contract/test_fleet.py.
"""

import os
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.app.error import Error
from flwr.app.message import make_message, remove_content_from_message
from flwr.app.message.arraychunk import ArrayChunk
from flwr.common.constant import ErrorCode
from flwr.common.serde import (
    context_to_proto,
    message_from_proto,
    message_to_proto,
    recorddict_from_proto,
    user_config_from_proto,
)
from flwr.proto.fab_pb2 import GetFabRequest
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.message_pb2 import (
    ConfirmMessageReceivedRequest,
    ObjectTree,
    PullObjectRequest,
    PushObjectRequest,
)
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.proto.node_pb2 import Node
from flwr.proto.recorddict_pb2 import RecordDict as ProtoRecordDict
from flwr.proto.run_pb2 import GetRunRequest
from flwr.supercore.constant import (
    TaskType,
)
from flwr.supercore.inflatable.inflatable_object import (
    InflatableObject,
    get_all_nested_objects,
    get_object_id,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient
from google.protobuf.message import DecodeError

from fedstudy_core import flower
from fedstudy_core.inflating import inflate
from fedstudy_core.spool import let_go
from fedstudy_node.clock import Clock
from fedstudy_node.errors import ContentLost, FleetError, KeyRefused, NotRegistered, RunEnded, Unreachable
from fedstudy_node.signed import SignedHeaders, error_from

# fmt: off
__all__ = [
    "ArrayRecord", "Fleet", "Incoming", "MetricRecord", "Outgoing", "RecordDict", "RunInfo", "context_bytes",
    "message_head", "refuse", "reply_to",
]
# fmt: on

HEARTBEAT_INTERVAL = 15.0
REQUEST_TIMEOUT = 20.0
OBJECT_WAIT = 120.0
_FIRST_BACKOFF = 0.01
_LONGEST_BACKOFF = 0.25

T = TypeVar("T")


@dataclass(frozen=True)
class RunInfo:
    """What the SuperLink says about one of its runs. Nothing here is trusted: the gate decides."""

    run_id: int
    series_id: int
    fab_hash: str
    override_config: Mapping[str, bool | float | int | str]
    task_type: str

    @property
    def is_server_app(self) -> bool:
        """Whether messages of this run are meant for a ClientApp."""
        return self.task_type in ("", TaskType.SERVER_APP)


@dataclass(frozen=True)
class Incoming:
    """A message with its content, as pulled."""

    run_id: int
    message_id: str
    message_type: str
    content: RecordDict
    bytes_in: int
    inline: bool
    message: Message = field(repr=False)


@dataclass(frozen=True)
class Outgoing:
    """A reply with its identity fixed, so that sending it twice is one reply for the SuperLink."""

    run_id: int
    message: Message = field(repr=False)
    inline: bool
    seconds: float


class Fleet:
    """One node at one SuperLink. Not thread-safe: the agent's main loop owns it.

    Args:
        folder: where the arrays of large messages are put into files; None to hold them in memory.
    """

    def __init__(
        self,
        address: str,
        ca_pem: str,
        flower_key: ec.EllipticCurvePrivateKey,
        clock: Clock,
        folder: Path | None = None,
    ) -> None:
        tls = ssl.create_default_context(cadata=ca_pem or None)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._address, self._tls, self._clock, self._folder = address, tls, clock, folder
        self._open(flower_key)

    def _open(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self._client = FleetHttpClient(
            f"https://{self._address}",
            interceptors=[RuntimeVersionHttpInterceptor(component_name="SuperNode"), SignedHeaders(key, self._clock)],
            verify=self._tls,
            timeout=REQUEST_TIMEOUT,
        )
        self._node = Node(node_id=0)
        self._beat_at = float("-inf")

    def rekey(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Say good-bye under the old key and go on under another one; to be activated anew."""
        self.close()
        self._open(key)

    @property
    def node_id(self) -> int:
        """The node's number at the SuperLink; 0 before activation."""
        return int(self._node.node_id)

    def activate(self, previous: int | None) -> int:
        """Announce the node; return its number at the SuperLink. Raises NotRegistered, KeyRefused, Unreachable.

        An earlier process with the same key (`previous`) is deactivated first: else the SuperLink refuses for 50 s.
        """
        if previous:
            self._deactivate(previous)
        public_key = public_key_to_bytes(self._key.public_key())
        request = ActivateNodeRequest(public_key=public_key, heartbeat_interval=HEARTBEAT_INTERVAL)
        response = self._call(lambda: self._client.ActivateNode(request))
        self._node = Node(node_id=response.node_id)
        self._beat_at = time.monotonic()
        return int(response.node_id)

    def _deactivate(self, node_id: int) -> None:
        """Tell the SuperLink that a node is away; a node that it does not hold as active is fine."""
        with suppress(NotRegistered, KeyRefused):
            self._call(lambda: self._client.DeactivateNode(DeactivateNodeRequest(node_id=node_id)))

    def heartbeat_if_due(self) -> None:
        """Say that the node is alive, every third of the interval that the SuperLink was told."""
        if time.monotonic() - self._beat_at < HEARTBEAT_INTERVAL / 3:
            return
        request = SendNodeHeartbeatRequest(node=self._node, heartbeat_interval=HEARTBEAT_INTERVAL)
        if not self._call(lambda: self._client.SendNodeHeartbeat(request)).success:
            raise NotRegistered("the SuperLink no longer knows this node")
        self._beat_at = time.monotonic()

    def pull(self) -> Incoming | None:
        """Take the next message with its content, or None when there is none."""
        response = self._call(lambda: self._client.PullMessages(PullMessagesRequest(node=self._node)))
        if not response.messages_list:
            return None
        try:
            return self._read(response.messages_list[0], response.message_object_trees[0])
        except (ValueError, KeyError, TypeError, IndexError, DecodeError) as error:
            raise ContentLost(f"a message cannot be read: {type(error).__name__}") from error

    def _read(self, proto: ProtoMessage, tree: ObjectTree) -> Incoming:
        message = message_from_proto(proto)
        run_id = message.metadata.run_id
        message.metadata.__dict__["_message_id"] = tree.object_id
        inline = message.has_content() and len(message.content) > 0
        if inline:
            content, size = message.content, proto.ByteSize()
        else:
            content, size = self._pull_content(run_id, tree)
        return Incoming(run_id, tree.object_id, message.metadata.message_type, content, size, inline, message)

    def confirm(self, incoming: Incoming) -> None:
        """Let the SuperLink forget the objects of a message (one that came whole has none)."""
        request = ConfirmMessageReceivedRequest(
            node=self._node, run_id=incoming.run_id, message_object_id=incoming.message_id
        )
        self._call(lambda: self._client.ConfirmMessageReceived(request))

    def get_run(self, run_id: int) -> RunInfo:
        """Return what the SuperLink says about a run. Raises RunEnded when the run is over."""
        run = self._call(lambda: self._client.GetRun(GetRunRequest(node=self._node, run_id=run_id))).run
        config = user_config_from_proto(run.override_config)
        return RunInfo(run_id, run.series_id, run.fab_hash, config, run.primary_task_type)

    def get_fab(self, run: RunInfo) -> bytes:
        """Return the bytes of a run's script as the SuperLink holds them."""
        request = GetFabRequest(node=self._node, hash_str=run.fab_hash, run_id=run.run_id)
        return bytes(self._call(lambda: self._client.GetFab(request)).fab.content)

    def send(self, reply: Outgoing) -> int:
        """Send a reply, whole if its message came whole; return the bytes sent. May be repeated with the same reply.

        A message that came under another number of this node is nobody's any more (RunEnded): the portal asks again.
        """
        if reply.message.metadata.src_node_id != self._node.node_id:
            raise RunEnded("the message came under another number of this node")
        with no_object_id_recompute():
            reply.message.metadata.__dict__["_message_id"] = reply.message.object_id
            sent = reply.message if reply.inline else remove_content_from_message(reply.message)
            tree = get_object_tree(reply.message)
            request = PushMessagesRequest(
                node=self._node,
                messages_list=[message_to_proto(sent)],
                message_object_trees=[ObjectTree(object_id=tree.object_id) if reply.inline else tree],
                clientapp_runtime_list=[reply.seconds],
            )
            response = self._call(lambda: self._client.PushMessages(request))
            if reply.inline:
                return request.ByteSize()
            wanted = set(response.objects_to_push)
            objects = get_all_nested_objects(reply.message)
            size = 0
            for object_id in objects:
                if object_id in wanted:
                    item = objects[object_id]
                    size += self._push_object(reply.run_id, response.session_id, object_id, item.deflate())
                    let_go(item.data if isinstance(item, ArrayChunk) else None)
            return size

    def close(self) -> None:
        """Say good-bye and close the connection; an unreachable SuperLink is not waited for."""
        with suppress(FleetError):
            if self.node_id:
                self._deactivate(self.node_id)
        self._client.close()

    def _push_object(self, run_id: int, session_id: str, object_id: str, content: bytes) -> int:
        self.heartbeat_if_due()
        request = PushObjectRequest(
            node=self._node, run_id=run_id, session_id=session_id, object_id=object_id, object_content=content
        )
        if not self._call(lambda: self._client.PushObject(request)).stored:
            raise RunEnded(f"the SuperLink did not store object {object_id[:12]} of run {run_id}")
        return len(content)

    def _pull_content(self, run_id: int, tree: ObjectTree) -> tuple[RecordDict, int]:
        """Return a message's content and its size in bytes, in as few requests as its shape allows."""
        leaf = _only_leaf(tree)
        if leaf is not None:
            raw = self._pull_object(run_id, leaf)
            record = inflate_object_from_contents(leaf, {leaf: raw})
            content = RecordDict({flower.ORDER: record}) if isinstance(record, ConfigRecord) else RecordDict()
            if content.object_id == tree.children[0].object_id:
                return content, len(raw)
        message, size = self._inflate(run_id, tree)
        if not isinstance(message, Message) or not message.has_content():
            raise ContentLost("the message has no content")
        return message.content, size

    def _inflate(self, run_id: int, tree: ObjectTree) -> tuple[InflatableObject, int]:
        """Put a large message together, its arrays in a file; in memory where the disk is full, to refuse it."""
        fetch = partial(self._pull_object, run_id)
        try:
            return inflate(tree, fetch, self._folder)
        except OSError:
            return inflate(tree, fetch, None)

    def _pull_object(self, run_id: int, object_id: str) -> bytes:
        """Pull one object, asking again in short steps while its sender is still sending it."""
        request = PullObjectRequest(node=self._node, run_id=run_id, object_id=object_id)
        backoff = _FIRST_BACKOFF
        give_up = time.monotonic() + OBJECT_WAIT
        while True:
            self.heartbeat_if_due()
            response = self._call(lambda: self._client.PullObject(request))
            if response.object_found and response.object_available:
                content = bytes(response.object_content)
                if get_object_id(content) != object_id:
                    raise ContentLost(f"object {object_id[:12]} has another content than announced")
                return content
            if not response.object_found or time.monotonic() > give_up:
                raise ContentLost(f"object {object_id[:12]} did not come")
            time.sleep(backoff)
            backoff = min(backoff * 1.6, _LONGEST_BACKOFF)

    def _call(self, request: Callable[[], T]) -> T:
        """Make a request; turn what can go wrong into this module's errors."""
        try:
            return request()
        except httpx.HTTPStatusError as error:
            raise error_from(error.response) from error
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error


def _only_leaf(tree: ObjectTree) -> str | None:
    """Return the id of the single record of a message that has just one, else None."""
    if len(tree.children) != 1 or len(tree.children[0].children) != 1:
        return None
    leaf = tree.children[0].children[0]
    return None if leaf.children else str(leaf.object_id)


def reply_to(incoming: Incoming, content: RecordDict, seconds: float) -> Outgoing:
    """Make a reply with content; `seconds` is how long the script worked."""
    inline = incoming.inline and flower.is_small(content)
    return Outgoing(incoming.run_id, Message(content, reply_to=incoming.message), inline, seconds)


def refuse(incoming: Incoming, reason: str) -> Outgoing:
    """Make a reply that carries no content but a reason (a code, never an exception's text)."""
    error = Error(code=ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason=reason)
    return Outgoing(incoming.run_id, Message(error, reply_to=incoming.message), incoming.inline, 0.0)


def message_head(incoming: Incoming, message_type: str) -> str:
    """A message, or one errand of it, without its content, in words for the script's process."""
    metadata = copy(incoming.message.metadata)
    metadata.message_type = message_type
    head = make_message(metadata=metadata, content=RecordDict())
    return b64encode(message_to_proto(head).SerializeToString()).decode("ascii")


def context_bytes(
    run: RunInfo,
    node_id: int,
    node_config: Mapping[str, Any],
    run_config: Mapping[str, Any],
    state: bytes | None,
) -> bytes:
    """Serialise the Flower context of a run for the script's process; `state` is what the script kept so far."""
    kept = recorddict_from_proto(ProtoRecordDict.FromString(state)) if state else RecordDict()
    context = Context(run.run_id, node_id, dict(node_config), kept, dict(run_config), run.series_id)
    return bytes(context_to_proto(context).SerializeToString())
