"""Attacks on other processes."""

import ctypes
import os
import struct
from contextlib import suppress
from pathlib import Path

from fedstudy_core.sandbox.system import Denied, Probe, Targets, call, in_child

_PTRACE_TRACEME, _PTRACE_ATTACH, _PTRACE_DETACH = 0, 16, 17


def ptrace(targets: Targets) -> None:
    """Take over another process, or use the call at all."""
    try:
        call("ptrace", _PTRACE_ATTACH, targets["victim"], 0, 0)
    except Denied:
        if in_child(lambda: call("ptrace", _PTRACE_TRACEME, 0, 0, 0)) != 0:
            raise
        return
    os.waitpid(targets["victim"], 0x40000000)
    call("ptrace", _PTRACE_DETACH, targets["victim"], 0, 0)


def read_memory(targets: Targets) -> None:
    """Read memory through process_vm_readv; of another process, or of the own one to see whether the call works."""
    source, target = ctypes.create_string_buffer(b"row"), ctypes.create_string_buffer(3)
    vectors = [struct.pack("=QQ", ctypes.addressof(buffer), 3) for buffer in (target, source)]
    call("process_vm_readv", os.getpid(), vectors[0], 1, vectors[1], 1, 0)


def take_descriptor(targets: Targets) -> None:
    """Take an open file out of another process."""
    pidfd = os.pidfd_open(os.getpid())
    try:
        os.close(call("pidfd_getfd", pidfd, 1, 0))
    finally:
        os.close(pidfd)


def _is_victim(targets: Targets) -> bool:
    """Whether the number still means the same process: in a namespace of its own it may be another's."""
    try:
        return targets["word"].encode() in Path(f"/proc/{targets['victim']}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
    except OSError:
        return True


def signal(targets: Targets) -> None:
    """Send a signal to a process of the hospital."""
    os.kill(targets["victim"], 0)
    if not _is_victim(targets):
        raise Denied("another process has its number")


def host_processes(targets: Targets) -> None:
    """See the hospital's processes."""
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            with suppress(OSError):
                if targets["word"].encode() in Path("/proc", name, "cmdline").read_bytes():
                    return
    raise Denied("none is seen")


ALL: tuple[Probe, ...] = (ptrace, read_memory, take_descriptor, signal, host_processes)
