"""The seccomp filter as a classic BPF program, built from the table in `syscalls`.

A foreign architecture or the x32 ABI ends the process; `clone3` does not exist (ENOSYS: its flags lie in memory where a
filter cannot look, and every C library then falls back to `clone`); the calls of the table answer EPERM;
sockets are of the family AF_UNIX only; `clone` makes no namespace; terminals take no injected input; the rest is let
through.
"""

import errno
import os
import struct
from dataclasses import dataclass, field

from fedstudy_core.sandbox.syscalls import DENIED, SPECIAL

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000
_AF_UNIX = 1
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX


class UnknownMachine(Exception):
    """There is no table of system calls for this processor."""


def _error(number: int) -> int:
    return _ERROR | number


@dataclass
class Program:
    """Instructions; jumps count from the next one."""

    code: list[tuple[int, int, int, int]] = field(default_factory=list)

    def load(self, offset: int) -> None:
        """Load a 32-bit word of the call's description (little-endian: the low half of an argument comes first)."""
        self.code.append((_LOAD, 0, 0, offset))

    def give(self, verdict: int) -> None:
        """End with a verdict."""
        self.code.append((_RETURN, 0, 0, verdict))

    def when(self, test: int, value: int, verdict: int) -> None:
        """End with the verdict when the loaded word passes the test; else go on."""
        self.code += [(test, 0, 1, value), (_RETURN, 0, 0, verdict)]

    def skip_unless(self, value: int, count: int) -> None:
        """Leave out the next `count` instructions unless the loaded word is `value`."""
        self.code.append((_EQUAL, 0, count, value))

    def packed(self) -> bytes:
        """The program as the kernel reads it: `struct sock_filter[]`."""
        return b"".join(struct.pack("=HBBI", *instruction) for instruction in self.code)


def build(machine: str = "") -> Program:
    """Return the filter for a processor (default: this one). Raises UnknownMachine."""
    name = machine or os.uname().machine
    if name not in MACHINES:
        raise UnknownMachine(name)
    column, architecture = MACHINES[name]
    program = Program()
    program.load(_ARCHITECTURE_AT)
    program.code += [(_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL)]
    program.load(_NUMBER_AT)
    if name == "x86_64":
        program.when(_AT_LEAST, _X32, _KILL)
    program.when(_EQUAL, SPECIAL["clone3"][column], _error(errno.ENOSYS))
    for numbers in DENIED.values():
        number = numbers[column]
        if number is not None:
            program.when(_EQUAL, number, _error(errno.EPERM))
    _add_argument_rules(program, column)
    program.give(_ALLOW)
    return program


def _add_argument_rules(program: Program, column: int) -> None:
    """Add what depends on an argument. Each rule ends with a verdict, so the loaded number is not needed again."""
    for name in ("socket", "socketpair"):
        program.skip_unless(SPECIAL[name][column], 4)
        program.load(_ARGUMENTS_AT)
        program.when(_EQUAL, _AF_UNIX, _ALLOW)
        program.give(_error(errno.EPERM))
    program.skip_unless(SPECIAL["clone"][column], 4)
    program.load(_ARGUMENTS_AT)
    program.when(_ANY_BIT, _NEW_NAMESPACES, _error(errno.EPERM))
    program.give(_ALLOW)
    program.skip_unless(SPECIAL["ioctl"][column], 6)
    program.load(_ARGUMENTS_AT + 8)
    for request in _TERMINAL_INPUT:
        program.when(_EQUAL, request, _error(errno.EPERM))
    program.give(_ALLOW)
