"""Starting a process behind the walls of a level: `Walls.start`, and what the agent then holds of it.

A process is either run anew, or forked from a server that has imported its packages (`forking`). Behind bubblewrap the
forked one joins the namespaces that bubblewrap made for a holder, a process that does nothing.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from fedstudy_core.sandbox import bpf, bubblewrap, surroundings
from fedstudy_core.sandbox.cgroups import Ceiling, CgroupError, Group, Parents
from fedstudy_core.sandbox.confining import Plan
from fedstudy_core.sandbox.forking import Forked, ForkError, ForkServer, Wanted

PROCESSES = 256
IMPORT_S = 15.0
_EARLY_MEMORY_MB = 4096
_READY = b"r"
_HOLD = "import os; os.write(1, b'r'); os.read(0, 1)"


class LaunchError(Exception):
    """The process could not be started behind these walls; the text says which part failed."""


@dataclass(frozen=True)
class View:
    """Where things are for the script: the same as for the agent below S3, neutral paths from there on."""

    app: Path
    scratch: Path
    dataset: Path | None


@dataclass(frozen=True)
class Walls:
    """What is put up around every script's process.

    Attributes:
        seccomp, landlock: whether filter and Landlock are used.
        bwrap: path of bubblewrap, or None below S3.
        groups: the control groups below which each process gets its own, or None.
        hidden: folders of the agent that no script may see, wherever they lie.
        scratch_mb: most that a script may keep in files.
        processors: most processors of one script.
        forked: whether processes may be forked from a server; not where the walls would not hold those.
    """

    seccomp: bool = False
    landlock: bool = False
    bwrap: str | None = None
    groups: Parents | None = None
    hidden: tuple[Path, ...] = ()
    scratch_mb: int = 1024
    processors: int = field(default_factory=lambda: os.cpu_count() or 1)
    forked: bool = False

    def view(self, slot: Path, dataset: Path | None) -> View:
        """Return the paths of a process that is started in `slot`."""
        if self.bwrap is None:
            return View(slot / "app", slot / "scratch", dataset)
        inside = bubblewrap.inside_path(dataset) if dataset is not None else None
        return View(bubblewrap.APP, bubblewrap.SCRATCH, inside)

    def start(
        self,
        module: str,
        *,
        slot: Path,
        dataset: Path | None,
        threads: int,
        words: Sequence[str] = (),
        ceiling: Ceiling | None = None,
        server: ForkServer | None = None,
    ) -> "Walled":
        """Start a module of ours with `PLAN *words` as its arguments. Raises LaunchError.

        Args:
            slot: a folder for this process alone; app/ and scratch/ are made in it.
            dataset: the file that it may read.
            threads: its share of the processors, for libraries that ask the environment.
            ceiling: limits of its control group until `Walled.limit`.
            server: fork it from this one, if the walls allow that; waits for what it still imports.
        """
        view = self.view(slot, dataset)
        for name in ("app", "scratch"):
            (slot / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        variables = environment(view.scratch, threads)
        forks = server if self.forked and server is not None and server.is_ready(IMPORT_S) else None
        plan = self._plan(view, forked=forks is not None)
        words = (plan.as_text(), *words)
        command = [sys.executable, "-P", "-m", module, *words]
        if self.bwrap is None:
            if forks is not None:
                return _forked(forks, Wanted(module, words, variables, slot / "app"))
            return Walled(_popen(command, slot / "app", variables, ()), None)
        bubblewrap.write_etc(slot / "etc")
        options = bubblewrap.arguments(
            app=slot / "app",
            etc=slot / "etc",
            dataset=dataset,
            hidden=self.hidden,
            environment=variables,
            scratch_mb=self.scratch_mb,
        )
        first = ceiling or Ceiling(_EARLY_MEMORY_MB, PROCESSES, self.processors)
        if forks is None:
            return self._start_wrapped(options, command, slot, first)
        holder = self._start_wrapped(options, [sys.executable, "-I", "-S", "-c", _HOLD], slot, first)
        return _joined(forks, Wanted(module, words, variables, bubblewrap.SCRATCH, holder.inner), holder)

    def _plan(self, view: View, *, forked: bool) -> Plan:
        if self.bwrap is not None:
            read, write = bubblewrap.readable(), bubblewrap.writable()
            return Plan(
                seccomp=forked,
                landlock=self.landlock,
                read=read,
                write=write,
                processes=PROCESSES,
                file_mb=self.scratch_mb,
            )
        shown = (*surroundings.SYSTEM, *surroundings.python_folders(), *surroundings.ETC, *surroundings.READABLE)
        dataset = (str(view.dataset),) if view.dataset is not None else ()
        return Plan(
            parent=0 if forked else os.getpid(),
            seccomp=self.seccomp,
            landlock=self.landlock,
            read=(*shown, *surroundings.PROC, str(view.app), *dataset),
            write=(str(view.scratch), *surroundings.DEVICES),
            file_mb=self.scratch_mb,
        )

    def _start_wrapped(self, words: list[str], command: list[str], slot: Path, ceiling: Ceiling) -> "Walled":
        """Start bubblewrap, which waits until it has been put where it belongs before it starts the command.

        Its options go through a pipe: on its command line the script could read paths of the host.
        """
        with ExitStack() as stack:
            options, filter_ = (
                _filled(stack, b"".join(word.encode() + b"\0" for word in words)),
                _filled(stack, bpf.build().packed()),
            )
            told, tell = _pipe(stack)
            wait, go = _pipe(stack)
            ends = {"--args": options, "--seccomp": filter_, "--info-fd": tell, "--block-fd": wait}
            line = [str(self.bwrap), *(word for name, end in ends.items() for word in (name, str(end.fileno())))]
            passed = [end.fileno() for end in ends.values()]
            group = None if self.groups is None else _group(self.groups, ceiling)
            walled = Walled(_popen([*line, "--", *command], slot, {"PATH": os.defpath}, passed), group)
            try:
                for end in ends.values():
                    end.close()
                walled.settle(told.readall())
                go.write(b"g")
            except (LaunchError, BrokenPipeError) as error:
                walled.kill()
                walled.close_errors()
                raise LaunchError(str(error)) from error
            return walled


def _joined(server: ForkServer, wanted: Wanted, holder: "Walled") -> "Walled":
    """Fork a process that joins the holder's namespaces and its control group. Raises LaunchError."""
    try:
        if holder.process.stdout is None or holder.process.stdout.read(1) != _READY:
            raise LaunchError(f"bubblewrap did not start: {holder.last_words()}")
        walled = _forked(server, wanted, holder)
    except LaunchError:
        holder.kill()
        holder.close_errors()
        raise
    holder.close_errors()
    return walled


def _forked(server: ForkServer, wanted: Wanted, holder: "Walled | None" = None) -> "Walled":
    """Fork a process, in the holder's control group. Raises LaunchError."""
    group = holder.group if holder is not None else None
    try:
        process = server.fork(wanted)
        try:
            if group is not None:
                group.add(process.keeper)
            process.begin()
        except (CgroupError, ForkError, OSError):
            process.abandon()
            raise
    except (CgroupError, ForkError, OSError) as error:
        raise LaunchError(str(error)) from error
    return Walled(process, group, holder)


def _pipe(stack: ExitStack) -> tuple[FileIO, FileIO]:
    reading, writing = os.pipe()
    return stack.enter_context(FileIO(reading, "r")), stack.enter_context(FileIO(writing, "w"))


def _filled(stack: ExitStack, content: bytes) -> FileIO:
    """Return a pipe to read `content` from; it must fit into a pipe's buffer."""
    reading, writing = _pipe(stack)
    writing.write(content)
    writing.close()
    return reading


def _group(parents: Parents, ceiling: Ceiling) -> Group:
    try:
        return Group(parents, ceiling)
    except CgroupError as error:
        raise LaunchError(str(error)) from error


@dataclass
class Walled:
    """A process behind walls.

    Attributes:
        process: the outermost process, or the forked one.
        group: its control group, if it has one.
        holder: what keeps the namespaces that a forked process joined; they end with it, and all in them.
        inner: id of the first process inside bubblewrap.
    """

    process: "subprocess.Popen[bytes] | Forked"
    group: Group | None
    holder: "Walled | None" = None
    inner: int = 0

    def settle(self, told: bytes) -> None:
        """Put bubblewrap and the first process inside into the group, and first in line when memory runs out.

        Args:
            told: what bubblewrap says about itself.

        Raises:
            LaunchError: it said nothing, or the group does not take them.
        """
        try:
            self.inner = int(json.loads(told)["child-pid"])
        except (ValueError, KeyError, TypeError) as error:
            raise LaunchError(f"bubblewrap did not start: {self.last_words()}") from error
        for pid in (self.process.pid, self.inner):
            with suppress(OSError):
                Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
            if self.group is not None:
                try:
                    self.group.add(pid)
                except CgroupError as error:
                    raise LaunchError(str(error)) from error

    def limit(self, ceiling: Ceiling) -> None:
        """Set the limits of the control group, where there is one. Raises CgroupError."""
        if self.group is not None:
            self.group.limit(ceiling)

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel ended something in here for want of memory."""
        return self.group is not None and self.group.ran_out_of_memory()

    def end_group(self) -> None:
        """End the process and everything it started, and wait for nothing."""
        if self.holder is not None:
            self.holder.end_group()
        if isinstance(self.process, Forked):
            self.process.end_group()
        elif self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process and everything it started."""
        self.end_group()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        if self.holder is not None:
            self.holder.kill()
        elif self.group is not None:
            self.group.remove()

    def close_errors(self) -> None:
        """Close the pipe of standard error; whoever reads it does so before."""
        if self.process.stderr is not None:
            self.process.stderr.close()

    def last_words(self) -> str:
        """What the process that did not start said about it."""
        self.process.wait()
        text = self.process.stderr.read() if self.process.stderr is not None else b""
        return text.decode(errors="replace").strip()[-300:]


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
        "PYTHONHASHSEED": "0",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # large arrays on large pages, where the system has them
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "NUMEXPR_NUM_THREADS": count,
    }


def _popen(
    command: list[str], folder: Path, variables: dict[str, str], passed: Sequence[int]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=variables,
        pass_fds=tuple(passed),
        start_new_session=True,
    )
