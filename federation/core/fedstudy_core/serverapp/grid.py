"""A Flower `Grid` over a pipe: it shows the run's approved nodes and nothing else of any federation.

Replies are handed out whole: a pull waits until the engine has settled every message that it asks for (answered, or its
deadline past), and gives the replies in the order in which the messages were pushed. So what an app sees depends on
what the sites answered and not on when, and a restarted app that does the same again sees the same again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flwr.app import Message, RecordDict
from flwr.app.error import Error
from flwr.app.message import make_message
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from fedstudy_core.flower import pack, unpack
from fedstudy_core.sandbox.frames import Frame, FrameReader, FrameWriter


class PipeGrid(Grid):
    """Sends `message` (body: packed content), `push` after a batch, and `pull`; a `reply` comes for each, in order."""

    def __init__(self, reader: FrameReader, writer: FrameWriter, *, run_id: int, nodes: Sequence[int]) -> None:
        self._reader = reader
        self._writer = writer
        self._run = Run.create_empty(run_id)
        self._nodes = list(nodes)
        self._asked: dict[str, Message] = {}

    def set_run(self, run: Run) -> None:
        """Refuse to look at another run."""
        if run.run_id != self._run.run_id:
            raise ValueError("This grid is of one run only.")

    @property
    def run(self) -> Run:
        return Run(**vars(self._run))

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> Iterable[int]:
        """All nodes of the run, connected at the moment or not: who is away answers by an error."""
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return self._push(messages, None)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        wanted = [message_id for message_id in dict.fromkeys(message_ids) if message_id in self._asked]
        if not wanted:
            return []
        self._send(Frame({"kind": "pull", "ids": wanted}))
        return [self._take_reply(message_id) for message_id in wanted]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return self.pull_messages(self._push(messages, timeout))

    def _push(self, messages: Iterable[Message], timeout: float | None) -> list[str]:
        batch = list(messages)
        first = len(self._asked)
        ids = [str(first + position) for position in range(len(batch))]
        for message_id, message in zip(ids, batch, strict=True):
            metadata = message.metadata
            header = {"id": message_id, "to": metadata.dst_node_id, "type": metadata.message_type}
            self._writer.put(Frame({"kind": "message", **header}, pack(message.content)))
            metadata.__dict__["_message_id"] = message_id
            self._asked[message_id] = make_message(metadata=metadata, content=RecordDict())
        if batch:
            self._send(Frame({"kind": "push", "timeout_s": timeout}))
        return ids

    def _take_reply(self, message_id: str) -> Message:
        frame = self._reader.read_one()
        header: dict[str, Any] = frame.header
        if frame.kind != "reply" or header["id"] != message_id:
            raise RuntimeError("the engine answered another message")
        asked = self._asked[message_id]
        if header["code"]:
            reason = f"{header['code']}: {header['detail']}"
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=asked)
        return Message(unpack(bytes(frame.body)), reply_to=asked)

    def _send(self, frame: Frame) -> None:
        self._writer.put(frame)
        self._writer.flush()
