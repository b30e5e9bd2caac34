"""The portal's side of Flower: all of the portal that knows Flower's private interfaces.

Pinned to flwr 1.41 and held by `tests/contract`. A Celery worker claims the primary task of a Flower run at the
SuperLink and speaks its runtime API itself; nodes are registered, and runs announced and stopped, by the control API.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from flwr.app import Message, RecordDict
from flwr.common.serde import (
    fab_to_proto,
    message_from_proto,
    message_to_proto,
    run_from_proto,
    user_config_to_proto,
)
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.node_pb2 import Node
from flwr.proto.runtime_pb2 import (
    AcquireTaskRequest,
    PullAppMessagesRequest,
    PullTaskInputRequest,
    PushAppMessagesRequest,
    PushTaskOutputRequest,
    SendTaskHeartbeatRequest,
)
from flwr.supercore.constant import TaskType
from flwr.supercore.control.control_http_client import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.logger import FLOWER_LOGGER, console_handler
from flwr.supercore.protobuf.client import ProtobufClientInterceptor
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity

from fedstudy_core.errors import FedStudyError

# Flower brings a console handler of its own: what it has to say goes the way of all other lines, and only trouble.
FLOWER_LOGGER.removeHandler(console_handler)
FLOWER_LOGGER.setLevel(logging.WARNING)

MESSAGE_TTL_S = 12 * 3600.0


class SuperLinkError(FedStudyError):
    """The SuperLink did not do what was asked (E_SUPERLINK), or is not there (E_SUPERLINK_DOWN)."""


class AttemptLost(SuperLinkError):
    """The SuperLink no longer knows the Flower run or its token: a new attempt is due (E_ATTEMPT_LOST)."""


@dataclass(frozen=True)
class Claim:
    """What a worker needs to drive a Flower run: whoever holds the token is its driver."""

    flower_run_id: str
    task_id: str
    node_id: str
    token: str


@dataclass(frozen=True)
class Outgoing:
    """A message for one node.

    Attributes:
        node_id: the node's id at the SuperLink.
        message_type: "train", "evaluate" or "query[.name]".
    """

    node_id: str
    message_type: str
    content: RecordDict
    group: str


@dataclass(frozen=True)
class Reply:
    """An answer; either `content` or `error` is set.

    Attributes:
        error: Flower's error reason, as the node or the SuperLink wrote it.
        from_node: False when the SuperLink itself answered for an absent node.
    """

    message_id: str
    content: RecordDict | None
    error: str
    from_node: bool
    size: int


@dataclass(frozen=True)
class SuperLink:
    """Where the SuperLink is, and the secret that lets a worker claim tasks."""

    address: str
    ca_file: Path | None
    secret_file: Path

    def _root(self) -> bytes | None:
        return self.ca_file.read_bytes() if self.ca_file else None

    def control(self) -> Control:
        return Control(ControlHttpClient.from_server_address(self.address, self.ca_file is None, self._root(), []))

    def claim_next(self) -> Claim | None:
        """Claim the oldest pending ServerApp task, whichever run it belongs to; None when there is none."""
        secret = self.secret_file.read_bytes()
        path = "/flwr.proto.Runtime/AcquireTask"
        interceptors: list[ProtobufClientInterceptor] = [
            RuntimeVersionHttpInterceptor("SuperExec"),
            SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods={path}),
        ]
        try:
            with _errors(), self._runtime(interceptors) as client:
                token = client.AcquireTask(AcquireTaskRequest(supported_task_types=[TaskType.SERVER_APP])).token
        except AttemptLost as error:  # there is no attempt yet: it is this worker that is not accepted
            raise SuperLinkError("E_SUPERLINK", "The SuperLink does not accept this worker's secret.") from error
        if not token:
            return None
        with _errors(), self._runtime(_driver_interceptors(token)) as client:
            answer = client.PullTaskInput(PullTaskInputRequest())
        return Claim(
            flower_run_id=str(run_from_proto(answer.run).run_id),
            task_id=str(answer.task_id),
            node_id=str(answer.context.node_id),
            token=token,
        )

    def drive(self, claim: Claim) -> Session:
        return Session(self._runtime(_driver_interceptors(claim.token)), claim)

    def _runtime(self, interceptors: Sequence[ProtobufClientInterceptor]) -> RuntimeHttpClient:
        return RuntimeHttpClient.from_server_address(self.address, self.ca_file is None, self._root(), interceptors)


def _driver_interceptors(token: str) -> list[ProtobufClientInterceptor]:
    return [RuntimeVersionHttpInterceptor("flwr-serverapp"), RuntimeTokenHttpInterceptor(token)]


class Control:
    """The control API: announce and stop runs, register nodes. Use as a context manager."""

    def __init__(self, client: ControlHttpClient) -> None:
        self._client = client

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def start_run(self, fab: bytes, config: dict[str, int | float | str | bool]) -> str:
        """Announce a Flower run. The SuperLink parses the bundle and refuses one it cannot read."""
        request = StartRunRequest(
            fab=fab_to_proto(Fab(hashlib.sha256(fab).hexdigest(), fab, {})),
            override_config=user_config_to_proto(config),
        )
        with _errors():
            run_id = self._client.StartRun(request).run_id
        if not run_id:
            raise SuperLinkError("E_SUPERLINK", "The SuperLink did not accept the script's bundle.")
        return str(run_id)

    def stop_run(self, flower_run_id: str) -> None:
        with _errors():
            self._client.StopRun(StopRunRequest(run_id=int(flower_run_id)))

    def forget_run(self, flower_run_id: str) -> str:
        """Ask for the run's state ("finished:completed", ...), which also makes the SuperLink drop its objects."""
        with _errors():
            runs = self._client.ListRuns(ListRunsRequest(run_id=int(flower_run_id))).run_dict
        run = runs.get(int(flower_run_id))
        return f"{run.status.status}:{run.status.sub_status}" if run else ""

    def register_node(self, public_key_pem: str) -> str:
        with _errors():
            return str(self._client.RegisterNode(RegisterNodeRequest(public_key=public_key_pem.encode())).node_id)

    def unregister_node(self, node_id: str) -> None:
        with _errors():
            self._client.UnregisterNode(UnregisterNodeRequest(node_id=int(node_id)))

    def nodes(self) -> dict[str, str]:
        """Node ids of the registered public keys (PEM)."""
        with _errors():
            answer = self._client.ListNodes(ListNodesRequest())
        return {
            node.public_key.decode(): str(node.node_id) for node in answer.nodes_info if node.status != "unregistered"
        }


class Session:
    """Drives one claimed Flower run: push messages, pull replies, keep it alive, end it. A context manager.

    Flower's `Message` reads the identity of its sender from the process, so a process drives one session at a time.
    """

    def __init__(self, client: RuntimeHttpClient, claim: Claim) -> None:
        self._client = client
        self._claim = claim
        self._run_id = int(claim.flower_run_id)
        self._node = Node(node_id=int(claim.node_id))
        self._alive_at = 0.0

    def __enter__(self) -> Session:
        TaskIdentity.run_id = self._run_id
        TaskIdentity.task_id = int(self._claim.task_id)
        TaskIdentity.node_id = int(self._claim.node_id)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def keep_alive(self, every_s: float = 10.0) -> None:
        """Tell the SuperLink that the driver lives; it fails a run that is silent for about a minute."""
        if time.monotonic() - self._alive_at < every_s:
            return
        with _errors():
            if not self._client.SendTaskHeartbeat(SendTaskHeartbeatRequest()).success:
                raise AttemptLost("E_ATTEMPT_LOST", "The SuperLink no longer counts this attempt as running.")
        self._alive_at = time.monotonic()

    def push(self, outgoing: Sequence[Outgoing]) -> list[tuple[str, int]]:
        """Send messages; answer each one's id ("" when the SuperLink knows no such node) and its bytes.

        They go whole: each object of a tree would cost a request at every hop.
        """
        messages = [
            Message(
                content=out.content,
                dst_node_id=int(out.node_id),
                message_type=out.message_type,
                group_id=out.group,
                ttl=MESSAGE_TTL_S,
            )
            for out in outgoing
        ]
        ids = [message.object_id for message in messages]
        for message, message_id in zip(messages, ids, strict=True):
            message.metadata.__dict__["_message_id"] = message_id
        protos = [message_to_proto(message) for message in messages]
        trees = [ObjectTree(object_id=message_id) for message_id in ids]
        with _errors():
            answer = self._client.PushMessages(PushAppMessagesRequest(messages_list=protos, message_object_trees=trees))
        return list(zip(answer.message_ids, (proto.ByteSize() for proto in protos), strict=True))

    def pull(self, message_ids: Iterable[str]) -> Iterator[Reply]:
        """Replies that have come to the given messages. A reply is handed out once: store it before the next."""
        with _errors():
            answer = self._client.PullMessages(PullAppMessagesRequest(message_ids=list(message_ids)))
        for proto in answer.messages_list:
            yield self._reply(proto)

    def _reply(self, proto: MessageProto) -> Reply:
        asked, size = proto.metadata.reply_to_message_id, proto.ByteSize()
        from_node = proto.metadata.src_node_id != self._node.node_id
        message = message_from_proto(proto)
        if message.has_error():
            return Reply(asked, None, message.error.reason or "", from_node, size)
        return Reply(asked, message.content, "", from_node, size)

    def finish(self, *, completed: bool, details: str) -> None:
        """End the Flower run."""
        with _errors():
            self._client.PushTaskOutput(
                PushTaskOutputRequest(sub_status="completed" if completed else "failed", details=details)
            )


class _errors:
    """Turn HTTP trouble with the SuperLink into this module's errors."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case httpx.TransportError():
                raise SuperLinkError("E_SUPERLINK_DOWN", "The SuperLink does not answer.") from error
            case httpx.HTTPStatusError() if error.response.status_code in (401, 403, 404, 412):
                raise AttemptLost("E_ATTEMPT_LOST", "The SuperLink does not accept this attempt any more.") from error
            case httpx.HTTPStatusError():
                raise SuperLinkError("E_SUPERLINK", f"The SuperLink answered {error.response.status_code}.") from error
            case _:
                return
