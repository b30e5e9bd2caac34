"""Ways to more rights, and parts of the kernel in which walls have broken before."""

import ctypes
import os
import struct
import tempfile
from contextlib import suppress
from pathlib import Path

from fedstudy_core.sandbox.system import Denied, Probe, Targets, call, clone_namespace, expect_in_child

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000


def user_namespace(targets: Targets) -> None:
    """Become root in a namespace of its own."""
    expect_in_child(lambda: call("unshare", _NEW_USER))


def clone_namespace_(targets: Targets) -> None:
    """The same by `clone`."""
    expect_in_child(clone_namespace)


def mount(targets: Targets) -> None:
    """Mount a file system."""

    def work() -> None:
        with suppress(Denied):
            call("unshare", _NEW_MOUNTS)
        place = tempfile.mkdtemp(dir=targets["scratch"])
        try:
            call("mount", b"none", place.encode(), b"tmpfs", 0, None)
            call("umount2", place.encode(), 0)
        finally:
            Path(place).rmdir()

    expect_in_child(work)


def keyring(targets: Targets) -> None:
    """Reach the account's keys in the kernel."""
    call("keyctl", 0, -3, 1)


def io_uring(targets: Targets) -> None:
    """Set up the queue that goes past filters of system calls."""
    os.close(call("io_uring_setup", 1, ctypes.create_string_buffer(120)))


def bpf(targets: Targets) -> None:
    """Make a map in the kernel's virtual machine."""
    os.close(call("bpf", 0, struct.pack("=IIII", 2, 4, 4, 1) + bytes(56), 72))


def perf(targets: Targets) -> None:
    """Watch the processor."""
    attributes = struct.pack("=IIQQQQ", 1, 112, 1, 0, 0, 0) + struct.pack("=Q", 1 | 1 << 5 | 1 << 6) + bytes(64)
    os.close(call("perf_event_open", attributes, 0, -1, -1, 0))


def userfaultfd(targets: Targets) -> None:
    """Handle page faults, the usual helper of attacks on the kernel."""
    os.close(call("userfaultfd", 1))


def file_handle(targets: Targets) -> None:
    """Name a file by its handle, to open it past every path."""
    mount_id, handle = ctypes.c_int(), ctypes.create_string_buffer(struct.pack("=Ii", 128, 0) + bytes(128))
    call("name_to_handle_at", -100, b"/", handle, ctypes.byref(mount_id), 0)


def memfd_exec(targets: Targets) -> None:
    """Run a program that lies in no file."""
    descriptor = call("memfd_create", b"x", 0)
    try:
        os.write(descriptor, Path("/bin/true").read_bytes())
        expect_in_child(lambda: os.execv(f"/proc/self/fd/{descriptor}", ["true"]))  # noqa: S606
    finally:
        os.close(descriptor)


def terminal_input(targets: Targets) -> None:
    """Type into a terminal in somebody else's name."""
    import fcntl
    import pty
    import termios

    def work() -> None:
        leader, follower = pty.openpty()
        os.setsid()
        fcntl.ioctl(follower, termios.TIOCSCTTY, 0)
        fcntl.ioctl(follower, termios.TIOCSTI, b"x")
        os.close(leader)

    expect_in_child(work)


def new_privileges(targets: Targets) -> None:
    """Gain rights by a program that has more: possible unless no_new_privs is set."""
    if ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) == 1:
        raise Denied("no_new_privs is set")


ALL: tuple[Probe, ...] = (
    user_namespace,
    clone_namespace_,
    mount,
    keyring,
    io_uring,
    bpf,
    perf,
    userfaultfd,
    file_handle,
    memfd_exec,
    terminal_input,
    new_privileges,
)
