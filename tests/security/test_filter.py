"""The filter of system calls: its program, run by a small interpreter for both processors, and by the kernel."""

import errno
import os
import signal
import struct
import subprocess
import sys

import pytest

from fedstudy_core.sandbox import bpf
from fedstudy_core.sandbox.syscalls import DENIED, SPECIAL

ALLOW, KILL = "allow", "kill"
MACHINES = list(bpf.MACHINES)
MOST_INSTRUCTIONS = 4096


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> str:
    """Run the filter on one call, as the kernel would."""
    own = bpf.MACHINES[machine][1] if architecture is None else architecture
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    call = struct.pack("<IIQ6Q", number, own, 0, *padded)
    code, at, word = bpf.build(machine).code, 0, 0
    while True:
        instruction, yes, no, value = code[at]
        at += 1
        match instruction:
            case 0x20:
                word = struct.unpack_from("<I", call, value)[0]
            case 0x15:
                at += yes if word == value else no
            case 0x35:
                at += yes if word >= value else no
            case 0x45:
                at += yes if word & value else no
            case 0x06:
                if value == 0x80000000:
                    return KILL
                return ALLOW if value == 0x7FFF0000 else errno.errorcode[value & 0xFFFF]
            case other:
                raise AssertionError(other)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_call_of_the_table_is_denied_and_the_others_are_not(machine: str) -> None:
    column = bpf.MACHINES[machine][0]
    denied = {numbers[column] for numbers in DENIED.values()} - {None}
    special = {numbers[column] for numbers in SPECIAL.values()}
    for number in range(512):
        if number not in special:
            assert verdict(machine, number) == ("EPERM" if number in denied else ALLOW), number


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("socket", (1, 1, 0), ALLOW),
        ("socket", (2, 1, 0), "EPERM"),
        ("socket", (10, 2, 0), "EPERM"),
        ("socket", (16, 3, 0), "EPERM"),
        ("socket", (17, 3, 0), "EPERM"),
        ("socket", (40, 1, 0), "EPERM"),
        ("socket", (2**32 + 1, 1, 0), ALLOW),  # the kernel, too, reads the low half only
        ("socketpair", (1, 1, 0), ALLOW),
        ("socketpair", (2, 1, 0), "EPERM"),
        ("clone", (0x3D0F00,), ALLOW),  # a thread
        ("clone", (17,), ALLOW),  # a process
        ("clone", (0x10000000 | 17,), "EPERM"),
        ("clone", (0x40000000 | 17,), "EPERM"),
        ("clone", (0x00020000,), "EPERM"),
        ("clone3", (0, 88), "ENOSYS"),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), "EPERM"),
        ("ioctl", (0, 2**32 + 0x5412), "EPERM"),
        ("ioctl", (0, 0x541C), "EPERM"),
    ],
)
def test_calls_that_depend_on_an_argument(machine: str, name: str, arguments: tuple[int, ...], expected: str) -> None:
    assert verdict(machine, SPECIAL[name][bpf.MACHINES[machine][0]], *arguments) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_in_another_machines_numbers_end_the_process(machine: str) -> None:
    assert verdict(machine, 20, architecture=0x40000003) == KILL
    other = next(name for name in MACHINES if name != machine)
    assert verdict(machine, 20, architecture=bpf.MACHINES[other][1]) == KILL


def test_the_x32_numbers_end_the_process() -> None:
    assert verdict("x86_64", 0x40000000 | 101) == KILL
    assert verdict("x86_64", 0xFFFFFFFF) == KILL


def test_there_is_no_filter_for_a_machine_without_a_table() -> None:
    with pytest.raises(bpf.UnknownMachine):
        bpf.build("riscv64")


@pytest.mark.parametrize("machine", MACHINES)
def test_the_kernel_takes_programs_of_this_size(machine: str) -> None:
    code = bpf.build(machine).code
    assert len(code) < MOST_INSTRUCTIONS
    assert all(0 <= jump <= 255 for _, yes, no, _ in code for jump in (yes, no))
    assert len(DENIED) >= 56


KERNEL = """
import ctypes, errno, fcntl, os, socket, sys
from fedstudy_core.sandbox.confining import install_filter
reading, writing = os.pipe()
install_filter()
def error_of(work):
    try: work()
    except OSError as error: return errno.errorcode[error.errno]
    return "done"
print(error_of(lambda: fcntl.ioctl(reading, 0x5412, b"x")), error_of(lambda: fcntl.ioctl(reading, 0x5401, bytes(64))),
      error_of(lambda: socket.socket(socket.AF_INET)), error_of(lambda: socket.socketpair()))
sys.stdout.flush()
ctypes.CDLL(None).syscall(ctypes.c_long(0x40000027))
print("still there")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
def test_the_kernel_reads_it_the_same_way() -> None:
    ended = subprocess.run([sys.executable, "-c", KERNEL], capture_output=True, text=True, check=False)
    first, *rest = ended.stdout.splitlines()
    assert first == "EPERM ENOTTY EPERM done", ended.stderr
    if os.uname().machine == "x86_64":
        assert (rest, ended.returncode) == ([], -signal.SIGSYS)
