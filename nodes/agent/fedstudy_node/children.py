"""The agent's end of the pipe to a script's process: start it, talk to it, end it.

The process gets no environment of the agent's, no key and no token; only the pipe, its log file and a folder of its
own. It is a process group of its own, so that whatever it started ends with it.
"""

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fedstudy_node.frames import Frame, FrameError, FrameReader, FrameWriter, PipeClosed

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
    content: bytes
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
    """The process ended, or sent what is not a frame."""

    detail: str


Outcome = Ready | StateKept | Replied | Failed | Died


def environment(folder: Path, threads: int) -> dict[str, str]:
    """Return the whole environment of a script's process."""
    count = str(max(threads, 1))
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "FLWR_HOME": str(folder),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "NUMEXPR_NUM_THREADS": count,
    }


class Child:
    """A running script. Owned by the agent's main thread: it ends when that thread ends."""

    def __init__(self, process: "subprocess.Popen[bytes]", reader: FrameReader, writer: FrameWriter) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    def start(cls, *, bundle: Path, scratch: Path, log: BinaryIO, threads: int, max_reply: int) -> "Child":
        """Start a process in the unpacked bundle. `max_reply` bounds what it may send at once (bytes)."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fedstudy_node.child", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=bundle,
            env=environment(scratch, threads),
            close_fds=True,
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a process was started without its pipes")
        into, out_of = process.stdin.fileno(), process.stdout.fileno()
        for descriptor in (into, out_of):
            os.set_blocking(descriptor, False)
            with suppress(OSError):  # only a larger buffer; the system may not allow it
                fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_BYTES)
        return cls(process, FrameReader(out_of, max_body=max_reply), FrameWriter(into))

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
            return [Died(self._end())]
        except (FrameError, KeyError, TypeError, ValueError) as error:
            return [Died(f"the process sent something unreadable: {error}")]

    def end_group(self) -> None:
        """End the process and everything it started; may be called from any thread, before `kill` takes in the rest."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process and everything it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _end(self) -> str:
        """Say how the process ended."""
        try:
            status = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return "the process closed its pipe"
        return f"the process ended with signal {-status}" if status < 0 else f"the process ended with status {status}"


def _outcome(frame: Frame) -> Outcome:
    header = frame.header
    match frame.kind:
        case "ready":
            return Ready()
        case "state":
            return StateKept(bytes(frame.body))
        case "reply":
            return Replied(int(header["id"]), bytes(frame.body), float(header["seconds"]))
        case "failed":
            call = None if header["id"] is None else int(header["id"])
            return Failed(call, str(header["text"]), bool(header["memory"]), float(header["seconds"]))
        case other:
            return Died(f"the process sent an unknown frame {other!r}")
