"""The agent's end of the fork server: `ForkServer.fork` starts a process with everything imported in milliseconds."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

from fedstudy_core.readiness import readable
from fedstudy_core.sandbox.forkserver import IMPORTED, PACKET

MODULE = "fedstudy_core.sandbox.forkserver"
_PATIENCE_S = 20.0


class ForkError(Exception):
    """The process could not be forked; the text says why."""


@dataclass(frozen=True)
class Wanted:
    """The process to fork.

    Attributes:
        module: its `main` is run, with `words` as arguments.
        environment: all of its environment.
        folder: where it starts, as it sees it.
        beside: a process whose namespaces it joins; 0 for none.
    """

    module: str
    words: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    beside: int = 0

    def packed(self) -> bytes:
        """The request as the server reads it."""
        return json.dumps(vars(self) | {"folder": str(self.folder)}).encode()


class Forked:
    """A forked process, held as `subprocess.Popen` holds one; somebody else waits for it and says how it ended.

    Attributes:
        keeper: process id of the one that waits.
        pid: process id, 0 before `begin`.
        returncode: its exit status, below 0 for a signal; None while it runs.
    """

    def __init__(self, stdin: FileIO, stdout: FileIO, stderr: FileIO, said: FileIO, go: FileIO) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = BufferedReader(stderr)
        self.returncode: int | None = None
        self.pid = 0
        self._said = said
        self._go = go
        self._text = b""
        self.keeper = int(self._await("keeper"))

    def begin(self) -> None:
        """Have the process forked; its keeper is where it belongs. Raises ForkError."""
        self._go.write(b"g")
        self.pid = int(self._await("started"))

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        while self.returncode is None and self._hears(0):
            self._hear()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status. Raises subprocess.TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if until is None else until - time.monotonic()
            if (left is not None and left < 0) or not self._hears(left):
                raise subprocess.TimeoutExpired(MODULE, timeout or 0)
            self._hear()
        return self.returncode

    def end_group(self) -> None:
        """Have the keeper end the process and its group, and wait for nothing; may be called from any thread."""
        self._go.close()

    def abandon(self) -> None:
        """Have the keeper end whatever there is, and close what the process would have had."""
        for end in (self.stdin, self.stdout, self.stderr, self._said, self._go):
            end.close()

    def _await(self, what: str) -> str:
        """Wait for a word of the keeper. Raises ForkError."""
        until = time.monotonic() + _PATIENCE_S
        while b"\n" not in self._text:
            if not self._hears(until - time.monotonic()):
                raise ForkError("the fork server does not answer")
            part = os.read(self._said.fileno(), PACKET)
            if not part:
                raise ForkError("the keeper of the process ended")
            self._text += part
        line, self._text = self._text.split(b"\n", 1)
        word = json.loads(line)
        if what not in word:
            raise ForkError(str(word.get("failed", word)))
        return str(word[what])

    def _hears(self, seconds: float | None) -> bool:
        return b"\n" in self._text or bool(readable([self._said.fileno()], seconds))

    def _hear(self) -> None:
        """Take in how the process ended; a keeper that is gone was killed, and its process with it."""
        try:
            self.returncode = int(self._await("ended"))
        except ForkError:
            self.returncode = -9
        self._said.close()
        self._go.close()


class ForkServer:
    """A process that imports modules once and is forked for each run. Owned by the thread that makes it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start it, without waiting for it."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._modules: frozenset[str] = frozenset()
        self._importing = 0
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env=dict(environment),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def load(self, modules: Iterable[str]) -> None:
        """Have modules imported that are not yet, without waiting. Raises ForkError when it has ended."""
        new = [module for module in modules if module not in self._modules]
        if new:
            self._tell({"import": new})
            self._importing += 1
            self._modules |= set(new)

    def is_ready(self, wait_s: float = 0.0) -> bool:
        """Whether it lives and has imported all that it was told to."""
        while self._importing and readable([self._control.fileno()], wait_s):
            if self._control.recv(len(IMPORTED)) != IMPORTED:
                return False
            self._importing -= 1
        return not self._importing and self.is_alive()

    def fork(self, wanted: Wanted) -> Forked:
        """Have a process forked, up to where it waits for `Forked.begin`. Raises ForkError."""
        ours, theirs = _pipes()
        try:
            socket.send_fds(self._control, [wanted.packed()], [end.fileno() for end in theirs])
        except OSError as error:
            _close(ours)
            raise ForkError("the fork server has ended") from error
        finally:
            _close(theirs)
        try:
            return Forked(*ours)
        except ForkError:
            _close(ours)
            raise

    def close(self) -> None:
        """End it. Processes that it forked end too."""
        self._control.close()
        self._process.kill()
        self._process.wait()

    def _tell(self, what: dict[str, Any]) -> None:
        try:
            self._control.send(json.dumps(what).encode())
        except OSError as error:
            raise ForkError("the fork server has ended") from error


def _pipes() -> tuple[list[FileIO], list[FileIO]]:
    """Five pipes: our ends and the other process's, in the order of `forkserver.Ends`."""
    ours, theirs = [], []
    for we_write in (True, False, False, False, True):
        reading, writing = os.pipe()
        mine, other = (writing, reading) if we_write else (reading, writing)
        ours.append(FileIO(mine, "w" if we_write else "r"))
        theirs.append(FileIO(other, "r" if we_write else "w"))
    return ours, theirs


def _close(ends: Iterable[FileIO]) -> None:
    for end in ends:
        end.close()
