"""What the script's process gives up by itself, before it loads the script: `confine`.

The agent writes a `Plan`, the process reads it from its command line. Inside bubblewrap the filter is in place already.
"""

import ctypes
import json
import resource
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fedstudy_core.sandbox import bpf, landlock

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


class ConfineError(Exception):
    """A wall that the agent counted on could not be put up: the process must not go on."""


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


@dataclass(frozen=True)
class Plan:
    """What a process does to itself.

    Attributes:
        parent: process id of the agent, with which it dies; 0 where bubblewrap sees to that.
        seccomp: install the filter of system calls.
        landlock: give up all paths but these.
        read: paths that it may read and run.
        write: paths that it may change.
        processes: most processes of its account; 0 for no limit.
        open_files: most open files of one process.
        file_mb: largest file in MiB.
    """

    parent: int = 0
    seccomp: bool = False
    landlock: bool = False
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    processes: int = 0
    open_files: int = 1024
    file_mb: int = 1024

    def as_text(self) -> str:
        """The plan as one word of a command line."""
        return json.dumps(asdict(self), separators=(",", ":"))


def read_plan(text: str) -> Plan:
    """Read what `as_text` wrote."""
    raw = json.loads(text)
    return Plan(**raw | {"read": tuple(raw["read"]), "write": tuple(raw["write"])})


def confine(plan: Plan) -> None:
    """Put up the plan's walls around this process. Raises ConfineError."""
    _lower(resource.RLIMIT_CORE, 0)  # a core dump would hold patient data
    _lower(resource.RLIMIT_NOFILE, plan.open_files)
    _lower(resource.RLIMIT_FSIZE, plan.file_mb * 1024**2)
    if plan.processes:
        _lower(resource.RLIMIT_NPROC, plan.processes)
    with suppress(OSError):  # inside bubblewrap the agent has done it
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        if plan.landlock:
            landlock.restrict(read=plan.read, write=plan.write)
        if plan.seccomp:
            install_filter()
    except (landlock.LandlockError, bpf.UnknownMachine) as error:
        raise ConfineError(str(error)) from error


def install_filter() -> None:
    """Have the kernel filter this process's system calls from now on. Raises ConfineError, UnknownMachine."""
    code = bpf.build().packed()
    program = _Program(len(code) // 8, code)
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise ConfineError("no_new_privs was refused")
    if library.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) != 0:
        raise ConfineError("the kernel refused the filter of system calls")


def _lower(which: int, most: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(which, (most, most))
