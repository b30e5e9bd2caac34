"""The agent's end of the pipe to a script's process: start it, talk to it, end it.

The process gets no environment of the agent's, no key, no token and no open file; only the pipe, a pipe for what it
prints, and a folder of its own, behind the walls of `sandbox`. Whatever it started ends with it.
"""

import fcntl
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fedstudy_core.flower import pieces_of
from fedstudy_core.sandbox.cgroups import Ceiling
from fedstudy_core.sandbox.forking import ForkServer
from fedstudy_core.sandbox.frames import Frame, FrameError, FrameReader, FrameTooLarge, FrameWriter, PipeClosed
from fedstudy_core.sandbox.launching import Walled, Walls
from fedstudy_core.sandbox.prints import keep_prints
from fedstudy_node.flower import RecordDict

_PIPE_BYTES = 1024 * 1024
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, which Python 3.11 names on Linux only


@dataclass(frozen=True)
class Ready:
    """The script was imported."""


@dataclass(frozen=True)
class StateKept:
    """What the script wants to keep between messages (a packed RecordDict)."""

    state: bytes


@dataclass(frozen=True)
class Replied:
    """The script's reply to call number `call`: packed content, and the seconds it took."""

    call: int
    content: bytes | bytearray | memoryview
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The script raised an exception. The text is for the site's log only."""

    call: int | None
    text: str
    out_of_memory: bool
    seconds: float


@dataclass(frozen=True)
class Died:
    """The process ended, or sent what is not a frame. `code` is what the portal is told."""

    detail: str
    code: str = "E_CHILD"


Outcome = Ready | StateKept | Replied | Failed | Died


class Child:
    """A running script. Owned by the agent's main thread: it ends when that thread ends."""

    def __init__(self, walled: Walled, reader: FrameReader, writer: FrameWriter) -> None:
        self._walled = walled
        self._process = walled.process
        self._reader = reader
        self._writer = writer
        self._prints_are_kept = False
        self._kept: dict[str, object] = {}

    @classmethod
    def start(
        cls, walls: Walls, *, slot: Path, dataset: Path | None, threads: int, server: ForkServer | None = None
    ) -> "Child":
        """Start a process in `slot`, a folder for it alone; the script may be unpacked into slot/app afterwards.

        Its large replies are put into files beside that folder.

        Args:
            dataset: the file that it may read.
            server: it is forked from this one, if that is ready.

        Raises:
            LaunchError: the walls cannot be put up.
        """
        walled = walls.start("fedstudy_node.child", slot=slot, dataset=dataset, threads=threads, server=server)
        process = walled.process
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("a process was started without its pipes")
        into, out_of = process.stdin.fileno(), process.stdout.fileno()
        for descriptor in (into, out_of):
            os.set_blocking(descriptor, False)
            with suppress(OSError):  # only a larger buffer; the system may not allow it
                fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_BYTES)
        return cls(walled, FrameReader(out_of, max_body=0, folder=slot.parent), FrameWriter(into))

    def serve(self, log: Path, max_reply: int) -> None:
        """Let it serve a run.

        Args:
            log: file that what it prints is added to, up to a size.
            max_reply: most bytes that it may send at once.
        """
        if self._process.stderr is not None:
            keep_prints(self._process.stderr, log)
            self._prints_are_kept = True
        self._reader.max_body = max_reply

    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def limit(self, ceiling: Ceiling) -> None:
        """Set the limits of everything that it starts together, where the sandbox has such. Raises CgroupError."""
        self._walled.limit(ceiling)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def readable(self) -> int:
        """The descriptor that becomes readable when the script says something."""
        return self._reader.fd

    @property
    def writable(self) -> int:
        """The descriptor that takes more of what is not sent yet."""
        return self._writer.fd

    def send(self, frame: Frame) -> bool:
        """Queue a frame and send what fits now. True when all is sent."""
        self._writer.put(frame)
        return self.flush()

    def call(self, number: int, message: str, content: RecordDict, *, keep: frozenset[str]) -> None:
        """Hand it a message. What the call before had it keep, and this one has as well, is not sent again.

        Args:
            message: the message without its content (`flower.message_head`).
            keep: names of the records that the next call has as well.
        """
        again = [name for name, record in content.items() if self._kept.get(name) is record]
        sent = RecordDict({name: record for name, record in content.items() if name not in again})
        self._kept = {name: content[name] for name in keep}
        header = {"kind": "call", "id": number, "message": message, "again": again, "keep": sorted(keep)}
        self.send(Frame(header, rest=pieces_of(sent)))

    def flush(self) -> bool:
        """Send what fits now. True when nothing is left; a process that is gone shows when it is read."""
        try:
            return self._writer.flush()
        except PipeClosed:
            return True

    def receive(self) -> list[Outcome]:
        """Return what the script said, without waiting."""
        try:
            return [_outcome(frame) for frame in self._reader.read_ready()]
        except PipeClosed:
            return [self._end()]
        except FrameTooLarge as error:
            return [Died(str(error), "E_OUTPUT_SIZE")]
        except (FrameError, KeyError, TypeError, ValueError, OverflowError) as error:
            return [Died(f"the process sent something unreadable: {error}")]

    def end_group(self) -> None:
        """End the process and everything it started; may be called from any thread, before `kill` takes in the rest."""
        self._walled.end_group()

    def kill(self) -> None:
        """End the process and everything it started."""
        self._walled.kill()
        if not self._prints_are_kept:
            self._walled.close_errors()

    def _end(self) -> Died:
        """Say how the process ended."""
        code = "E_MEMORY" if self._walled.ran_out_of_memory() else "E_CHILD"
        try:
            status = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return Died("the process closed its pipe", code)
        return Died(f"the process ended with {f'signal {-status}' if status < 0 else f'status {status}'}", code)


def _outcome(frame: Frame) -> Outcome:
    header = frame.header
    match frame.kind:
        case "ready":
            return Ready()
        case "state":
            return StateKept(bytes(frame.body))
        case "reply":
            return Replied(int(header["id"]), frame.body, float(header["seconds"]))
        case "failed":
            call = None if header["id"] is None else int(header["id"])
            return Failed(call, str(header["text"]), bool(header["memory"]), float(header["seconds"]))
        case other:
            return Died(f"the process sent an unknown frame {other!r}")
