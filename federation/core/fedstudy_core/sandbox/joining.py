"""Entering the namespaces that bubblewrap made for another process, and giving up every right in them."""

import ctypes
import os

_NEW_MOUNTS, _NEW_CGROUP, _NEW_HOSTNAME, _NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_ALL = _NEW_MOUNTS | _NEW_CGROUP | _NEW_HOSTNAME | _NEW_IPC | _NEW_USER | _NEW_PROCESSES | _NEW_NETWORK

_SET_DUMPABLE, _DROP_BOUNDING, _NO_NEW_PRIVILEGES, _AMBIENT, _CLEAR_ALL = 4, 24, 38, 47, 4
_CAPABILITIES_VERSION = 0x20080522
_CAPABILITIES = 64


class JoinError(Exception):
    """The kernel does not let this process in, or would leave it a right."""


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def join(pid: int) -> None:
    """Enter all namespaces of a process at once (Linux 5.8); this process's children are then among its processes.

    It has every right over those namespaces until `give_up_rights`. Raises JoinError.
    """
    library = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    try:
        if library.setns(process, _ALL) != 0:
            raise JoinError(f"the sandbox cannot be joined ({os.strerror(ctypes.get_errno())})")
    finally:
        os.close(process)


def give_up_rights() -> None:
    """Give up all capabilities of this process and of all that it will start, for good. Raises JoinError."""
    library = ctypes.CDLL(None, use_errno=True)
    nothing = (ctypes.c_uint32 * 6)()
    header = _Header(_CAPABILITIES_VERSION, 0)
    library.prctl(_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    for capability in range(_CAPABILITIES):
        library.prctl(_DROP_BOUNDING, capability, 0, 0, 0)
    if library.capset(ctypes.byref(header), ctypes.byref(nothing)) != 0:
        raise JoinError("the kernel keeps this process its capabilities")
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise JoinError("no_new_privs was refused")


def own_its_files() -> None:
    """Let this process open what /proc has of itself, as one that a program was run in could."""
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 1, 0, 0, 0)
