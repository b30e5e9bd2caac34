"""Landlock: the process itself gives up every file it did not name, TCP, and signals to the outside (Linux).

The rules hold for the process and all that it starts, and nothing takes them back. What a kernel does not know (its ABI
number says so) is left out; whether enough is left is for the probes to say.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Iterable

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ABI1 = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_TCP = 3  # bind and connect
_SCOPES = 3  # abstract unix sockets and signals


class LandlockError(Exception):
    """The kernel did not take the rules."""


def _call(*arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    result = int(library.syscall(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise LandlockError(f"system call {arguments[0]}: {os.strerror(number)}")
    return result


def abi() -> int:
    """Return the kernel's Landlock version; 0 when it has none."""
    if platform.system() != "Linux":
        return 0
    try:
        return _call(_CREATE, None, ctypes.c_size_t(0), _ASK_VERSION)
    except LandlockError:
        return 0


def restrict(*, read: Iterable[str], write: Iterable[str]) -> None:
    """Leave this process what is named: to read and run `read`, to do all with `write`. What is not there is left out.

    Raises LandlockError.
    """
    version = abi()
    if version == 0:
        raise LandlockError("this kernel has no Landlock")
    handled = _ABI1 | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    handled |= _IOCTL_DEVICE if version >= 5 else 0
    attributes = struct.pack("=QQQ", handled, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _call(_CREATE, attributes, ctypes.c_size_t(size), 0)
    try:
        for path in read:
            _allow(ruleset, path, _READ)
        for path in write:
            _allow(ruleset, path, handled)
        if ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
            raise LandlockError("no_new_privs was refused")
        _call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rights = access if os.path.isdir(path) else access & _OF_FILES  # noqa: PTH112 - no Path in a bare child
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, beneath), 0)
    finally:
        os.close(beneath)
