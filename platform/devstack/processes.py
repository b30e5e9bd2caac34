"""Child processes that log to files, are ready by a condition, and never outlive their parent."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from devstack.errors import SetupError

READINESS_POLL_S = 0.02
LOG_TAIL_LINES = 25


@dataclass(frozen=True)
class Command:
    """What to start, and how to tell that it is up.

    `ready` is asked again and again until it answers true; None means that a started process is good enough.
    """

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Callable[[], bool] | None = None
    ready_timeout_s: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0


@cache
def _dies_with_parent() -> tuple[str, ...]:
    """The words that make the kernel end a command when its parent ends (Linux; elsewhere none).

    setpriv(1) sets PR_SET_PDEATHSIG and becomes the command, so no Python runs between fork and exec.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ()
    words = (setpriv, "--pdeathsig", "TERM", "--")
    probe = subprocess.run([*words, "true"], capture_output=True, check=False)
    return words if probe.returncode == 0 else ()


class Child:
    """One running process of the stack."""

    def __init__(self, command: Command) -> None:
        self.command = command
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [*_dies_with_parent(), *command.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(command.env) if command.env else None,
                cwd=command.cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id, which is the id of its group as well."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self.popen.poll() is None

    def wait_ready(self) -> None:
        """Return once the command's condition holds.

        Raises SetupError with the end of the log when the process ends first or the time is over.
        """
        deadline = time.monotonic() + self.command.ready_timeout_s
        ready = self.command.ready or (lambda: True)
        while not ready():
            if self._ended_within(READINESS_POLL_S):
                raise self._failure(f"ended with exit code {self.popen.returncode} while starting")
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready within {self.command.ready_timeout_s:g} s")

    def stop(self) -> None:
        """Ask the process to end, and end it and its whole group by force if it does not."""
        if self.running:
            self.popen.send_signal(self.command.stop_signal)
            self._ended_within(self.command.stop_timeout_s)
        self.kill()

    def kill(self) -> None:
        """End the process and whatever it started, at once."""
        # The group may be gone already (macOS says "not permitted" for a group of zombies).
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def log_tail(self) -> str:
        """The last lines that the process wrote."""
        lines = self.command.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def _ended_within(self, seconds: float) -> bool:
        try:
            self.popen.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _failure(self, what: str) -> SetupError:
        return SetupError(
            f"{self.command.name} {what}. The end of its log:\n{self.log_tail()}",
            f"read the whole log in {self.command.log}, put right what it names, and start again",
        )


class Supervisor:
    """Owns the processes of a stack: starts them, watches them, stops them in reverse order."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    def launch(self, command: Command) -> Child:
        """Start one command without waiting for it; its `wait_ready` does that.

        Must be called on the main thread: the kernel ends a child with the *thread* that started it.
        """
        child = Child(command)
        self.children.append(child)
        return child

    def start(self, *commands: Command) -> list[Child]:
        """Start the commands side by side and return when every one of them is ready."""
        started = [self.launch(command) for command in commands]
        for child in started:
            child.wait_ready()
        return started

    def child(self, name: str) -> Child:
        """The child started last under this name."""
        for child in reversed(self.children):
            if child.command.name == name:
                return child
        raise KeyError(name)

    def restart(self, name: str) -> Child:
        """Start an ended or running child again with the same command."""
        old = self.child(name)
        old.stop()
        self.children.remove(old)
        return self.start(old.command)[0]

    def ended(self) -> list[Child]:
        """Children that have ended though nobody stopped them."""
        return [child for child in self.children if not child.running]

    def stop(self) -> None:
        """Stop every child, the last started first; one that fails to stop does not spare the others."""
        failures: list[Exception] = []
        while self.children:
            try:
                self.children.pop().stop()
            except Exception as failure:  # noqa: BLE001 - every other child must still be stopped
                failures.append(failure)
        if failures:
            raise ExceptionGroup("some processes did not stop", failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
