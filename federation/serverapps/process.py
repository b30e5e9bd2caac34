"""The engine's end of the pipe to a running ServerApp: start it, hear what it asks, answer, end it."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from federation.serverapps.machine import Bounds
from fedstudy_core import bundle as bundles
from fedstudy_core.canonical import plain_text
from fedstudy_core.errors import Refusal
from fedstudy_core.readiness import readable, writable
from fedstudy_core.sandbox.cgroups import Ceiling, CgroupError
from fedstudy_core.sandbox.choosing import Sandbox
from fedstudy_core.sandbox.frames import Frame, FrameError, FrameReader, FrameWriter, PipeClosed
from fedstudy_core.sandbox.launching import PROCESSES, LaunchError, Walled
from fedstudy_core.sandbox.prints import keep_prints
from fedstudy_core.serverapp.files import LeftFile

MODULE = "fedstudy_core.serverapp.process"
MESSAGE_TYPE = re.compile(r"(train|evaluate|query)(\.[A-Za-z_][A-Za-z0-9_]{0,40})?")
_FRAME_SLACK = 1024 * 1024
_WRITE_PATIENCE_S = 120.0
_PRINTS_PATIENCE_S = 5.0
_LONGEST_WORDS = 400


@dataclass(frozen=True)
class Asked:
    """A message that the app sends to a node, by its number; `content` is packed."""

    id: str
    node: int
    message_type: str
    content: bytes


@dataclass(frozen=True)
class Pushed:
    """Messages that the app sends at once, and how long it would wait for them (s)."""

    messages: tuple[Asked, ...]
    timeout_s: float | None


@dataclass(frozen=True)
class Pull:
    """The app waits for the replies to these messages."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class Left:
    """The app came to its end: what its strategy returned (packed records, b"" for nothing), and its files."""

    result: bytes
    files: tuple[LeftFile, ...]


Event = Pushed | Pull | Left


@dataclass
class ServerAppProcess:
    """A running ServerApp."""

    walled: Walled
    reader: FrameReader
    writer: FrameWriter
    prints: threading.Thread
    folder: Path
    bounds: Bounds
    heard_at: float = field(default_factory=time.monotonic)
    _messages: list[Asked] = field(default_factory=list)
    _bytes: int = 0
    _result: bytes = b""
    _files: list[LeftFile] = field(default_factory=list)
    _ready: list[Frame] = field(default_factory=list)

    @classmethod
    def start(
        cls,
        sandbox: Sandbox,
        bounds: Bounds,
        *,
        folder: Path,
        log: Path,
        fab: bytes,
        context: bytes,
        seed: int,
        nodes: Sequence[int],
    ) -> ServerAppProcess:
        """Start the bundle's ServerApp in `folder`, which is its own and is emptied first.

        Args:
            log: file that what it prints is added to, up to a size.
            context: Flower's context, serialised.

        Raises:
            Refusal: E_SERVER_APP_SANDBOX when the walls cannot be put up.
        """
        remove_folder(folder)
        folder.mkdir(parents=True, mode=0o700)
        try:
            walled = sandbox.walls.start(MODULE, slot=folder, dataset=None, threads=bounds.threads)
            walled.limit(Ceiling(bounds.memory_mb, PROCESSES, sandbox.walls.processors))
        except (LaunchError, CgroupError) as error:
            raise Refusal("E_SERVER_APP_SANDBOX", f"The sandbox could not be put up: {error}.") from error
        process = walled.process
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("a process was started without its pipes")
        prints = keep_prints(process.stderr, log)
        into, out_of = process.stdin.fileno(), process.stdout.fileno()
        for descriptor in (into, out_of):
            os.set_blocking(descriptor, False)
        most = max(bounds.push_bytes, bounds.left_bytes) + _FRAME_SLACK
        started = cls(walled, FrameReader(out_of, max_body=most), FrameWriter(into), prints, folder, bounds)
        bundles.unpack(fab, folder / "app" / "script")
        view = sandbox.walls.view(folder, None)
        header: dict[str, Any] = {
            "kind": "load",
            "bundle": str(view.app / "script"),
            "scratch": str(view.scratch),
            "memory_mb": bounds.memory_mb,
            "cpu_s": bounds.cpu_s,
            "threads": bounds.threads,
            "seed": seed,
            "nodes": list(nodes),
        }
        started._send(Frame(header, context))
        return started

    def next(self, timeout_s: float) -> Event | None:
        """What the app asks for next; None when it asks for nothing within the time.

        Raises:
            Refusal: E_SERVER_APP when it failed or ended, E_SERVER_APP_LIMIT, E_SERVER_APP_TIME.
        """
        until = time.monotonic() + timeout_s
        while True:
            event = self._hear()
            if event is not None:
                return event
            now = time.monotonic()
            if now - self.heard_at > self.bounds.silence_s:
                raise Refusal("E_SERVER_APP_TIME", f"It asked for nothing in {self.bounds.silence_s} s.")
            if now >= until:
                return None
            readable([self.reader.fd], until - now)

    def reply(self, message_id: str, content: bytes, code: str = "", detail: str = "") -> None:
        """Answer a message that the app pulls: with packed content, or with a code that says why there is none."""
        self._send(Frame({"kind": "reply", "id": message_id, "code": code, "detail": detail}, content))
        self.heard_at = time.monotonic()

    def end(self) -> None:
        """End the process and everything that it started, see its prints into their file, and remove its folder."""
        self.walled.kill()
        self.prints.join(_PRINTS_PATIENCE_S)
        remove_folder(self.folder)

    def _hear(self) -> Event | None:
        if not self._ready:
            try:
                self._ready = self.reader.read_ready()
            except PipeClosed as error:
                code = "E_SERVER_APP_LIMIT" if self.walled.ran_out_of_memory() else "E_SERVER_APP"
                raise Refusal(code, "The ServerApp's process ended.") from error
            except FrameError as error:
                raise Refusal("E_SERVER_APP_LIMIT", f"The ServerApp sent too much at once: {error}.") from error
        while self._ready:
            self.heard_at = time.monotonic()
            event = self._take(self._ready.pop(0))
            if event is not None:
                return event
        return None

    def _take(self, frame: Frame) -> Event | None:
        try:
            match frame.kind:
                case "ready":
                    return None
                case "message":
                    self._add_message(frame)
                case "push":
                    return self._take_push(frame.header["timeout_s"])
                case "pull":
                    return Pull(tuple(map(str, frame.header["ids"])))
                case "result":
                    self._result = bytes(frame.body)
                case "file":
                    self._add_file(frame)
                case "done":
                    return Left(self._result, tuple(self._files))
                case "failed":
                    words = plain_text(str(frame.header["text"]))[-_LONGEST_WORDS:]
                    raise Refusal("E_SERVER_APP", f"The ServerApp failed: {words}")
                case _:
                    raise Refusal("E_SERVER_APP", "The ServerApp's process sent something that is not known.")
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal("E_SERVER_APP", "The ServerApp's process sent something unreadable.") from error
        return None

    def _add_message(self, frame: Frame) -> None:
        header: Mapping[str, Any] = frame.header
        message = Asked(str(header["id"]), int(header["to"]), str(header["type"]), bytes(frame.body))
        if not MESSAGE_TYPE.fullmatch(message.message_type):
            raise Refusal("E_SERVER_APP_LIMIT", "It sends messages of a type that no ClientApp answers.")
        self._messages.append(message)
        self._bytes += len(message.content)
        if len(self._messages) > self.bounds.push_messages or self._bytes > self.bounds.push_bytes:
            raise Refusal("E_SERVER_APP_LIMIT", "It sends more messages, or larger ones, at once than it may.")

    def _take_push(self, timeout_s: float | None) -> Pushed:
        pushed = Pushed(tuple(self._messages), None if timeout_s is None else max(1.0, float(timeout_s)))
        self._messages, self._bytes = [], 0
        return pushed

    def _add_file(self, frame: Frame) -> None:
        name, form = str(frame.header["name"]), str(frame.header["form"])
        self._files.append(LeftFile(plain_text(name)[:200], form, bytes(frame.body)))
        if sum(len(file.content) for file in self._files) > self.bounds.left_bytes:
            raise Refusal("E_SERVER_APP_LIMIT", "It leaves larger files than it may.")

    def _send(self, frame: Frame) -> None:
        self.writer.put(frame)
        give_up = time.monotonic() + _WRITE_PATIENCE_S
        try:
            while not self.writer.flush():
                if time.monotonic() > give_up:
                    raise Refusal("E_SERVER_APP_TIME", "The ServerApp does not take what it asked for.")
                writable(self.writer.fd, 1.0)
        except PipeClosed:
            return  # it shows when it is heard next


def remove_folder(folder: Path) -> None:
    """Remove a folder with everything in it, read-only folders included."""
    for parent, _, _ in os.walk(folder):
        with suppress(OSError):
            Path(parent).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
