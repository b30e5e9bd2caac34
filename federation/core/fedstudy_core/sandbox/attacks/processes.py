"""Attacks on other processes."""

import ctypes
import os
import struct
from contextlib import suppress
from pathlib import Path

from fedstudy_core.sandbox.system import Denied, Probe, Targets, call, in_child

_OWN_PIPES = 2
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


def open_files(targets: Targets) -> None:
    """Use a file, socket or pipe that whoever started this process left open; two pipes may be its own to the agent."""
    pipes = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with suppress(FileNotFoundError):
            leads_to = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
            if int(name) < 3 or leads_to.endswith("/fd"):
                continue
            pipes += leads_to.startswith("pipe:")
            if pipes > _OWN_PIPES or not leads_to.startswith("pipe:"):
                return
    raise Denied("none is open")


def capabilities(targets: Targets) -> None:
    """Use a right of root's that was left to the process, or is left to be gained."""
    lines = Path("/proc/self/status").read_text().splitlines()
    if all(int(line.split()[1], 16) == 0 for line in lines if line.startswith("Cap")):
        raise Denied("there is none")


ALL: tuple[Probe, ...] = (ptrace, read_memory, take_descriptor, signal, host_processes, open_files, capabilities)
