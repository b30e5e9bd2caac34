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
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.app.error import Error
from flwr.app.message import make_message
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
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.proto.message_pb2 import (
    ObjectTree,
)
from flwr.proto.node_pb2 import Node
from flwr.proto.recorddict_pb2 import RecordDict as ProtoRecordDict
from flwr.proto.run_pb2 import GetRunRequest
from flwr.supercore.constant import (
    TaskType,
)
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient
from google.protobuf.message import DecodeError

from fedstudy_core import errands, flower
from fedstudy_core.errors import Refusal
from fedstudy_core.flower import Packed
from fedstudy_core.freight import Freight
from fedstudy_node.clock import Clock
from fedstudy_node.errors import (
    AnswerLost,
    ContentLost,
    FleetError,
    KeyRefused,
    NotRegistered,
    NotTaken,
    RunEnded,
    Unreachable,
)
from fedstudy_node.freight import FreightClient
from fedstudy_node.signed import SignedHeaders, error_from

# fmt: off
__all__ = [
    "ArrayRecord", "Fleet", "Incoming", "MetricRecord", "Outgoing", "RecordDict", "RunInfo", "context_bytes",
    "instead_of", "message_head", "refuse", "reply_to",
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
    """A message with its content, as pulled; `freight` is what came beside it."""

    run_id: int
    message_id: str
    message_type: str
    content: RecordDict
    bytes_in: int
    message: Message = field(repr=False)
    freight: Freight | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Outgoing:
    """A reply with its identity fixed, so that sending it twice is one reply for the SuperLink.

    Attributes:
        beside: the content that does not travel inside it, with the ticket for handing it in.
    """

    run_id: int
    message: Message = field(repr=False)
    seconds: float
    beside: tuple[Packed, str] | None = field(default=None, repr=False)


class Fleet:
    """One node at one SuperLink. Not thread-safe: the agent's main loop owns it.

    Args:
        freight: fetches and hands in what is too large for a message.
    """

    def __init__(
        self,
        address: str,
        ca_pem: str,
        flower_key: ec.EllipticCurvePrivateKey,
        clock: Clock,
        freight: FreightClient,
    ) -> None:
        tls = ssl.create_default_context(cadata=ca_pem or None)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._address, self._tls, self._clock, self._freight = address, tls, clock, freight
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
        self._leave()
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
        """Take the next message with its content, or None when there is none.

        Raises:
            AnswerLost: a message may have been handed out, and is not here.
        """
        response = self._call(lambda: self._client.PullMessages(PullMessagesRequest(node=self._node)))
        if not response.messages_list:
            return None
        try:
            return self._read(response.messages_list[0], response.message_object_trees[0])
        except ContentLost:
            raise
        except FleetError as error:
            raise AnswerLost(str(error)) from error
        except (ValueError, KeyError, TypeError, IndexError, DecodeError) as error:
            raise ContentLost(f"a message cannot be read: {type(error).__name__}") from error

    def _read(self, proto: ProtoMessage, tree: ObjectTree) -> Incoming:
        message = message_from_proto(proto)
        message.metadata.__dict__["_message_id"] = tree.object_id
        if not message.has_content() or not len(message.content):
            raise ContentLost("the message came without its content")
        freight = self._fetched(message.content)
        size = proto.ByteSize() + (len(freight.data) if freight else 0)
        head = message.metadata
        return Incoming(head.run_id, tree.object_id, head.message_type, message.content, size, message, freight)

    def _fetched(self, content: RecordDict) -> Freight | None:
        """What the message names and does not hold. Raises ContentLost, Unreachable."""
        try:
            sha256 = flower.freight_of(content)
        except Refusal as error:
            raise ContentLost(error.detail) from error
        if sha256 is None:
            return None
        return self._freight.fetch(sha256, flower.ticket_of(content), self.heartbeat_if_due)

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
        """Send a reply; return the bytes sent. May be repeated with the same reply.

        Raises:
            RunEnded: nobody waits for it; a message that came under another number of this node is asked again.
            NotTaken: the portal does not take its content now.
            TooLarge: it takes no content of this size.
        """
        if reply.message.metadata.src_node_id != self._node.node_id:
            raise RunEnded("the message came under another number of this node")
        if reply.beside is not None:
            self._hand_in(*reply.beside)
        reply.message.metadata.__dict__["_message_id"] = reply.message.object_id
        request = PushMessagesRequest(
            node=self._node,
            messages_list=[message_to_proto(reply.message)],
            message_object_trees=[ObjectTree(object_id=reply.message.object_id)],
            clientapp_runtime_list=[reply.seconds],
        )
        self._call(lambda: self._client.PushMessages(request))
        return request.ByteSize() + (reply.beside[0].size if reply.beside else 0)

    def _hand_in(self, packed: Packed, ticket: str) -> None:
        try:
            self._freight.hand_in(packed, ticket, self.heartbeat_if_due)
        except Unreachable as error:
            raise NotTaken(str(error)) from error

    def close(self) -> None:
        """Say good-bye and close the connections; an unreachable SuperLink is not waited for."""
        self._leave()
        self._freight.close()

    def _leave(self) -> None:
        with suppress(FleetError):
            if self.node_id:
                self._deactivate(self.node_id)
        self._client.close()

    def _call(self, request: Callable[[], T]) -> T:
        """Make a request; turn what can go wrong into this module's errors."""
        try:
            return request()
        except httpx.HTTPStatusError as error:
            raise error_from(error.response) from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise AnswerLost(f"{type(error).__name__}: {error}") from error


def reply_to(
    incoming: Incoming, content: RecordDict, seconds: float, beside: tuple[Packed, str] | None = None
) -> Outgoing:
    """Make a reply with content; `seconds` is how long the script worked."""
    return Outgoing(incoming.run_id, Message(content, reply_to=incoming.message), seconds, beside)


def refuse(incoming: Incoming, reason: str) -> Outgoing:
    """Make a reply that carries no content but a reason (a code, never an exception's text)."""
    return Outgoing(incoming.run_id, Message(_raised(reason), reply_to=incoming.message), 0.0)


def instead_of(reply: Outgoing, reason: str) -> Outgoing:
    """Make a reply with a reason in the place of one whose content is not taken; what it answers besides stays."""
    content, metadata = reply.message.content, copy(reply.message.metadata)
    if errands.is_joined(content):
        message = make_message(metadata=metadata, content=errands.with_error(content, reason))
    else:
        message = make_message(metadata=metadata, error=_raised(reason))
    return replace(reply, message=message, beside=None)


def _raised(reason: str) -> Error:
    return Error(code=ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason=reason)


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
