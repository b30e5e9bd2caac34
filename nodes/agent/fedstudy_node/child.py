"""The process in which a study script runs: `python -P -m fedstudy_node.child PLAN`, or forked (`sandbox.forkserver`).

Started by the agent for one run, behind the walls of `sandbox`, with a cleared environment and no keys; stays warm for
the run's messages. Standard input and output are the framed pipe (`frames`); what the script prints goes to standard
error, which the agent keeps. Frames to this process:

    {"kind": "load", "bundle", "memory_mb", "cpu_s", "torch_threads"}  body: Flower context
    {"kind": "call", "id", "message", "keep", "again"}  body: the message's content (`fedstudy_core.flower.pack`)

where "message" is its head, "keep" names records that the next call has as well, and "again" those of the call before;
and from it `ready`, `state` (body: what the script keeps between messages, when that changed), `reply` (body: the
reply's content) and `failed` (with the exception's text, which stays at the site).
"""

import base64
import hashlib
import os
import sys
import time
import tomllib
import traceback
from pathlib import Path
from typing import Any

from fedstudy_core.memory import give_back_large_blocks, trim
from fedstudy_core.sandbox.frames import Frame, FrameStream, FrameWriter, PipeClosed
from fedstudy_core.sandbox.inside import enter, limit_torch, limit_work

_LONGEST_TEXT = 20_000
_LARGE_BLOCK = 16 * 1024 * 1024
# Memory that the system hands out anew it clears first, which takes longer than most scripts' work on a message: what
# is free after a message stays for the next one, up to so many bytes.
_KEPT = 256 * 1024 * 1024


class UnusableApp(Exception):
    """The bundle has no ClientApp where its pyproject.toml says."""


class ScriptProcess:
    """Answers the agent's frames with one loaded ClientApp."""

    def __init__(self, source: FrameStream, writer: FrameWriter) -> None:
        self._source = source
        self._writer = writer
        self._app: Any = None
        self._context: Any = None
        self._state_digest = b""
        self._kept: dict[str, list[tuple[Any, ...]]] = {}

    def serve(self) -> None:
        """Answer frames until the agent closes the pipe."""
        while True:
            if self._serve_one() >= _KEPT // 2:
                trim()

    def _serve_one(self) -> int:
        """Answer a frame; returns how many bytes it brought."""
        frame = self._source.next()
        size = self._source.left
        started = time.monotonic()
        try:
            self._answer(frame)
        except PipeClosed:
            raise
        except BaseException as error:  # noqa: BLE001 - a script may raise anything, SystemExit included
            self._send(_failure(frame, error, time.monotonic() - started))
        return size

    def _answer(self, frame: Frame) -> None:
        match frame.kind:
            case "load":
                self._load(frame)
            case "call":
                self._call(frame)
            case other:
                raise ValueError(f"unknown frame {other!r}")

    def _load(self, frame: Frame) -> None:
        """Import the script's ClientApp and take its context."""
        from flwr.clientapp import ClientApp
        from flwr.common.serde import context_from_proto
        from flwr.proto.message_pb2 import Context as ProtoContext
        from flwr.supercore.object_ref import load_app
        from flwr.supercore.task_identity import TaskIdentity

        limit_work(int(frame.header["memory_mb"]), int(frame.header["cpu_s"]))
        bundle = Path(frame.header["bundle"])
        os.chdir(bundle)
        project = tomllib.loads((bundle / "pyproject.toml").read_text("utf-8"))
        reference = project["tool"]["flwr"]["app"]["components"]["clientapp"]
        self._context = context_from_proto(ProtoContext.FromString(self._source.read(self._source.left)))
        TaskIdentity.run_id = self._context.run_id
        TaskIdentity.node_id = self._context.node_id
        app = load_app(reference, UnusableApp, bundle)
        if not isinstance(app, ClientApp):
            raise UnusableApp(f"{reference} is not a ClientApp")
        self._app = app
        limit_torch(int(frame.header["torch_threads"]))
        self._state_digest = hashlib.sha256(self._state()).digest()
        self._send(Frame({"kind": "ready"}))

    def _call(self, frame: Frame) -> None:
        """Hand one message to the app and send back its reply's content."""
        from flwr.app import Array
        from flwr.app.message import make_message
        from flwr.common.serde import message_from_proto
        from flwr.proto.message_pb2 import Message as ProtoMessage

        from fedstudy_core import flower

        if self._app is None:
            raise UnusableApp("no app is loaded")
        head = message_from_proto(ProtoMessage.FromString(base64.b64decode(frame.header["message"])))
        content = flower.unpack_from(self._source)
        for name in frame.header["again"]:
            content[name] = flower.record_of({key: Array(*parts) for key, *parts in self._kept[name]})
        self._kept = {name: _parts(content[name]) for name in frame.header["keep"]}
        message = make_message(metadata=head.metadata, content=content)
        del content
        started = time.monotonic()
        reply = self._app(message=message, context=self._context)
        seconds = time.monotonic() - started
        del message  # what came is not held while the reply waits in the pipe
        if not reply.has_content():
            raise RuntimeError(f"the script replied with an error: {reply.error.reason}")
        state = self._state()
        digest = hashlib.sha256(state).digest()
        if digest != self._state_digest:
            self._state_digest = digest
            self._send(Frame({"kind": "state"}, state))
        header = {"kind": "reply", "id": frame.header["id"], "seconds": seconds}
        self._send(Frame(header, rest=flower.pieces_of(reply.content)))

    def _state(self) -> bytes:
        return _pack(self._context.state)

    def _send(self, frame: Frame) -> None:
        self._writer.put(frame)
        self._writer.flush()


def _parts(record: Any) -> list[tuple[Any, ...]]:
    """What the arrays of a record are made of: a script may change the arrays, and cannot change these."""
    return [(name, item.dtype, item.shape, item.stype, item.data) for name, item in record.items()]


def _pack(content: Any) -> bytes:
    from flwr.common.serde import recorddict_to_proto

    return bytes(recorddict_to_proto(content).SerializeToString(deterministic=True))


def _failure(frame: Frame, error: BaseException, seconds: float) -> Frame:
    """Describe an exception for the site's log; the agent sends on nothing of it but a code."""
    text = "".join(traceback.format_exception(error))[-_LONGEST_TEXT:]
    header = {
        "kind": "failed",
        "where": frame.kind,
        "id": frame.header.get("id"),
        "memory": isinstance(error, MemoryError),
        "text": text,
        "seconds": seconds,
    }
    return Frame(header)


def main() -> None:
    """Serve the agent that started this process."""
    incoming, outgoing = enter(sys.argv[1])
    give_back_large_blocks(_LARGE_BLOCK, keep=_KEPT)
    try:
        ScriptProcess(FrameStream(incoming), FrameWriter(outgoing)).serve()
    except PipeClosed:
        return


if __name__ == "__main__":
    main()
