"""What a portal's worker does with Flower, without a portal: start a run, send orders, collect answers."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.runtime_pb2 import PullAppMessagesRequest, PushAppMessagesRequest
from flwr.supercore.inflatable.inflatable_object import no_object_id_recompute

from devstack import superlink
from devstack.processes import Supervisor
from federation.runs.flower import Control, Outgoing, Reply, Session
from federation.runs.flower import SuperLink as Adapter
from fedstudy_core import flower


def model(size: int = 14, value: float = 0.0) -> RecordDict:
    """A training message's content: one array of 32-bit floats."""
    arrays = ArrayRecord({"weights": flower.array(np.full(size, value, dtype=np.float32))})
    return RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": 1})})


class WholeSession(Session):
    """Sends small messages whole, inside the request that announces them: no objects, no further requests."""

    def push(self, outgoing: Sequence[Outgoing]) -> list[tuple[str, int]]:
        messages = [
            Message(out.content, int(out.node_id), out.message_type, group_id=out.group, ttl=3600.0) for out in outgoing
        ]
        with no_object_id_recompute():
            for message in messages:
                message.metadata.__dict__["_message_id"] = message.object_id
            request = PushAppMessagesRequest(
                messages_list=[message_to_proto(message) for message in messages],
                message_object_trees=[ObjectTree(object_id=message.object_id) for message in messages],
            )
        answer = self._client.PushMessages(request)
        return [(message_id, request.ByteSize()) for message_id in answer.message_ids]

    def pull(self, message_ids: Iterable[str]) -> Iterator[Reply]:
        answer = self._client.PullMessages(PullAppMessagesRequest(message_ids=list(message_ids)))
        for proto, tree in zip(answer.messages_list, answer.message_object_trees, strict=True):
            message = message_from_proto(proto)
            if message.has_error():
                yield Reply(proto.metadata.reply_to_message_id, None, message.error.reason or "", True, 0)
            elif len(message.content):
                yield Reply(proto.metadata.reply_to_message_id, message.content, "", True, proto.ByteSize())
            else:
                yield self._receive(proto, tree)


@dataclass
class Driver:
    """A SuperLink and the runs that a test drives on it."""

    link: superlink.SuperLink
    adapter: Adapter
    run_id: str = ""
    session: Session | None = None
    sent_bytes: int = field(default=0)

    def register(self, flower_key: str) -> str:
        with self._control() as control:
            return control.register_node(flower_key)

    def stop_run(self) -> None:
        with self._control() as control:
            control.stop_run(self.run_id)

    def _control(self) -> Control:
        return self.adapter.control()

    @contextmanager
    def run(self, fab: bytes, config: Mapping[str, int | float | str | bool], *, whole: bool = False) -> Iterator[None]:
        """Start and claim a run; end it afterwards."""
        with self._control() as control:
            self.run_id = control.start_run(fab, dict(config))
        claim = self.adapter.claim_next()
        assert claim is not None
        assert claim.flower_run_id == self.run_id
        with self.adapter.drive(claim) as session:
            self.session = WholeSession(session._client, claim) if whole else session
            self.session.keep_alive()
            yield
            self.session = None

    def send(self, node_id: str, order: flower.Order, content: RecordDict) -> str:
        assert self.session is not None
        wrapped = flower.wrap_order(content, order)
        [(message_id, size)] = self.session.push([Outgoing(node_id, order.message_type, wrapped, str(order.round))])
        self.sent_bytes = size
        return message_id

    def collect(self, message_ids: set[str], timeout: float = 30) -> list[Reply]:
        """Wait for the answers to these messages."""
        assert self.session is not None
        replies: list[Reply] = []
        until = time.monotonic() + timeout
        while message_ids and time.monotonic() < until:
            for reply in self.session.pull(message_ids):
                replies.append(reply)
                message_ids = message_ids - {reply.message_id}
            if message_ids:
                time.sleep(0.02)
        return replies

    def ask(self, node_id: str, order: flower.Order, content: RecordDict, timeout: float = 30) -> Reply:
        """Send a message and wait for its answer."""
        replies = self.collect({self.send(node_id, order, content)}, timeout)
        assert replies, "no answer came"
        return replies[0]


@contextmanager
def start(folder: Path, environment: Mapping[str, str]) -> Iterator[Driver]:
    """Start a SuperLink with TLS and node authentication on a free port."""
    with Supervisor() as supervisor:
        link = superlink.launch(supervisor, folder / "superlink", folder / "superlink.log", environment)
        link.child.wait_ready()
        yield Driver(link, Adapter(link.address, link.certificates.authority, link.secret_file))
