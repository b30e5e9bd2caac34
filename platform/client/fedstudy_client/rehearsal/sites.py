"""The sites of a dry run: a process each, which runs the script over synthetic rows, and Flower's grid over them."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flwr.app import Context, Message, RecordDict
from flwr.app.message import make_message
from flwr.common.serde import context_to_proto, message_to_proto
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.rehearsal.bundles import Built
from fedstudy_core import flower
from fedstudy_core.errors import Refusal
from fedstudy_core.sandbox.frames import Frame, FrameReader, FrameWriter, PipeClosed
from fedstudy_core.statement import Outputs
from fedstudy_node.egress import Allowance
from fedstudy_node.names import words_of
from fedstudy_node.replies import model_of, read_reply
from fedstudy_node.scripting import DATASET_FORMAT, DATASET_PATH

RUN_ID, SERVER_ID = 1, 1
MAX_BYTES = 2**31


class ScriptFailed(FedStudyProblem):
    """The script raised an exception at a site, or its process ended; `trace` is what Python says of it."""

    def __init__(self, site: str, asked: str, trace: str) -> None:
        self.trace = trace
        last = trace.strip().splitlines()[-1] if trace.strip() else "the process ended"
        super().__init__("E_SCRIPT", f"The script failed at {site}, asked to {asked}: {last}")


@dataclass
class Site:
    """One site: its number as Flower knows it, its rows, and the process in which the script runs there."""

    name: str
    number: int
    rows: int
    process: subprocess.Popen[bytes] = field(repr=False)
    calls: int = 0

    @classmethod
    def start(cls, name: str, number: int, rows: int, log: Path) -> Site:
        """Start the site's process; what the script prints goes into `log`."""
        command = [sys.executable, "-P", "-m", "fedstudy_client.rehearsal.site_process"]
        with log.open("wb") as prints:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=prints)
        return cls(name, number, rows, process)

    def load(self, app: Path, context: Context) -> None:
        """Have the script imported. Raises ScriptFailed."""
        header = {"kind": "load", "bundle": str(app), "memory_mb": 0, "cpu_s": 0, "torch_threads": 1}
        self._send(Frame(header, context_to_proto(context).SerializeToString()))
        self._answer("import")

    def send(self, message: Message) -> None:
        """Hand a message to the script; `receive` gives the answer."""
        head = make_message(metadata=message.metadata, content=RecordDict())
        self.calls += 1
        told = b64encode(message_to_proto(head).SerializeToString()).decode("ascii")
        header = {"kind": "call", "id": self.calls, "message": told, "again": [], "keep": []}
        self._send(Frame(header, rest=flower.pieces_of(message.content)))

    def receive(self, message: Message, allowance: Allowance) -> Message:
        """The answer, held to what a node would let through.

        Raises:
            ScriptFailed: the script raised an exception.
            FedStudyProblem: E_OUTPUT_SCHEMA and others: a node would keep this answer back.
        """
        frame = self._answer(message.metadata.message_type)
        try:
            reply = read_reply(frame.body, allowance)
        except Refusal as error:
            asked = message.metadata.message_type
            raise FedStudyProblem(
                error.code, f"A node would keep the answer to {asked} back. {error.detail}"
            ) from error
        return Message(reply.content, reply_to=message)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _send(self, frame: Frame) -> None:
        if self.process.stdin is None:
            raise RuntimeError("a process was started without its pipes")
        writer = FrameWriter(self.process.stdin.fileno())
        writer.put(frame)
        with suppress(PipeClosed):  # how it ended shows when its answer is read
            writer.flush()

    def _answer(self, asked: str) -> Frame:
        """The next frame that answers; what the script keeps between messages stays in its process."""
        if self.process.stdout is None:
            raise RuntimeError("a process was started without its pipes")
        reader = FrameReader(self.process.stdout.fileno())
        try:
            while (frame := reader.read_one()).kind == "state":
                continue
        except PipeClosed:
            raise ScriptFailed(self.name, asked, f"its process ended with status {self.process.wait()}") from None
        if frame.kind == "failed":
            raise ScriptFailed(self.name, asked, str(frame.header["text"]))
        return frame


class Sites(Grid):
    """All sites of a dry run, as Flower's strategies and ServerApps see them. A context manager: it ends them."""

    def __init__(self, built: Built, app: Path, config: Mapping[str, Any], min_rows: int = 1) -> None:
        self._built, self._app, self._config, self._min_rows = built, app, dict(config), min_rows
        self.sites: list[Site] = []
        self.exchanged: Callable[[str, Sequence[Message]], None] = lambda message_type, replies: None
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, RUN_ID, SERVER_ID

    def open(self, rows: Mapping[str, tuple[Path, int]], node_config: Mapping[str, Any]) -> None:
        """Start the sites: by name the file of each and how many rows it has. Raises ScriptFailed."""
        for position, (name, (path, count)) in enumerate(rows.items()):
            self.sites.append(Site.start(name, SERVER_ID + 1 + position, count, path.with_suffix(".log")))
        for site, (path, _) in zip(self.sites, rows.values(), strict=True):
            here: dict[str, Any] = {**node_config, DATASET_PATH: str(path), DATASET_FORMAT: "csv"}
            site.load(self._app, Context(RUN_ID, site.number, here, RecordDict(), self._config))

    def get_node_ids(self) -> list[int]:
        return [site.number for site in self.sites]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Hand the messages to their sites, all at once, and wait for the answers. Raises as `Site.receive`."""
        by_number = {site.number: site for site in self.sites}
        sent = [(by_number[message.metadata.dst_node_id], message) for message in messages]
        for site, message in sent:
            site.send(message)
        replies = [site.receive(message, self._allowance(site, message)) for site, message in sent]
        if sent:
            self.exchanged(sent[0][1].metadata.message_type, replies)
        return replies

    def _allowance(self, site: Site, message: Message) -> Allowance:
        asked = message.metadata.message_type
        return Allowance(
            phase=asked.partition(".")[0],
            message_type=asked,
            outputs=Outputs(phases=["query", "train", "evaluate"], max_bytes=MAX_BYTES),
            declaration=self._built.bundle.declaration,
            min_rows=self._min_rows,
            rows=site.rows,
            words=words_of(self._built.content),
            model=model_of(message.content),
        )

    def create_message(self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str) -> Message:  # type: ignore[override]
        return Message(content, dst_node_id=dst_node_id, message_type=message_type, group_id=group_id)

    def push_messages(self, messages: Iterable[Message]) -> Sequence[str]:
        raise self._not_here()

    def pull_messages(self, message_ids: Iterable[str]) -> Sequence[Message]:
        raise self._not_here()

    def set_run(self, run: Run) -> None:
        raise self._not_here()

    @property
    def run(self) -> Run:
        raise self._not_here()

    def get_nodes(self) -> Iterable[NodeInfo]:
        return [NodeInfo(node_id=site.number) for site in self.sites]

    @staticmethod
    def _not_here() -> FedStudyProblem:
        return FedStudyProblem("E_SERVER_APP", "A dry run takes send_and_receive, as Flower's own strategies do.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for site in self.sites:
            site.end()
