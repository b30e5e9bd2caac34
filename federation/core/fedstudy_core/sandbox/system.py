"""What the attacks are made of: raw system calls by their numbers on this machine, and work in a forked process."""

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedstudy_core.sandbox.bpf import MACHINES
from fedstudy_core.sandbox.syscalls import DENIED, SPECIAL

Targets = dict[str, Any]
Probe = Callable[[Targets], None]

_NEW_USER = 0x10000000
_SIGCHLD = 17


class Denied(Exception):
    """The kernel did not do it; the text is its error's name."""


def number_of(name: str) -> int:
    """Return a call's number on this machine. Raises Denied where there is none."""
    column = MACHINES.get(os.uname().machine, (0, 0))[0]
    number = {**DENIED, **SPECIAL}[name][column]
    if number is None:
        raise Denied("no such call here")
    return number


def call(name: str, *arguments: object) -> int:
    """Make a system call. Raises Denied with the name of the error."""
    return raw(number_of(name), *arguments)


def raw(number: int, *arguments: object) -> int:
    """Make a system call by its number. Raises Denied with the name of the error."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result = int(library.syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise Denied(errno.errorcode.get(ctypes.get_errno(), "?"))
    return result


def in_child(work: Callable[[], object]) -> int:
    """Run a callable in a forked process; return its exit status: 0 when it returned, 1 when it raised."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - whatever it was, it did not work
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def expect_in_child(work: Callable[[], object]) -> None:
    """Run a callable in a forked process. Raises Denied when it raised, or was ended."""
    if in_child(work) != 0:
        raise Denied("it failed")


def read(path: str) -> None:
    """Read a file. Raises OSError, Denied when there is nothing in it."""
    if not Path(path).read_bytes():
        raise Denied("it is empty")


def clone_namespace() -> None:
    """Make a process in a user namespace of its own by `clone`. Raises Denied."""
    pid = raw(number_of("clone"), _NEW_USER | _SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
