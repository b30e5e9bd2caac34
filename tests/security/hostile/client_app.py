"""A study script that attacks the hospital: every attack of the node's own suite, and some of past break-outs.

It prints what it tried and what worked. `TARGETS` is filled in by the test.
"""

import ctypes
import json
import mmap
import os
import platform
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from flwr.app import Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedstudy_core.sandbox import system
from fedstudy_core.sandbox.probes import PROBES

TARGETS: dict = {}
WORD = b"of the hospital"
app = ClientApp()


def open_descriptors(targets) -> None:
    """Find a file of the host among the descriptors that the process was started with."""
    own = (targets["scratch"], "/app", "/dev", "/proc", "/sys", "/usr", "/etc", sys.prefix, sys.base_prefix)
    for place in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            leads = str(place.readlink())
            if leads.startswith("/") and not leads.startswith(own):
                return
    raise system.Denied("none")


def root_of_first(targets) -> None:
    """Reach the host's root through the first process."""
    if WORD not in Path("/proc/1/root", targets["file"].lstrip("/")).read_bytes():
        raise system.Denied("another file")


def working_folder(targets) -> None:
    """Reach the host through the working folder of the first process."""
    if WORD not in Path("/proc/1/cwd/../host.txt").read_bytes():
        raise system.Denied("another file")


def own_program(targets) -> None:
    """Overwrite the program that this process runs from."""
    with Path("/proc/self/exe").resolve().open("r+b"):
        pass


def other_container(targets) -> None:
    """Tell the kernel to start a program at a crash, or when a control group empties."""
    for path in ("/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug", "/sys/kernel/uevent_helper"):
        with suppress(OSError), Path(path).open("r+b"):
            return
    for path in Path("/sys/fs/cgroup").glob("**/release_agent"):
        with suppress(OSError), path.open("r+b"):
            return
    raise system.Denied("none can be opened")


def trigger(targets) -> None:
    """Open the machine's panic button."""
    with Path("/proc/sysrq-trigger").open("wb"):
        pass


def kernel_memory(targets) -> None:
    """Read the kernel's memory or log."""
    for path in ("/proc/kcore", "/proc/kmsg", "/dev/kmsg", "/dev/mem", "/proc/kallsyms"):
        with suppress(OSError), Path(path).open("rb") as file:
            part = os.read(file.fileno(), 64)
            if part and not (path.endswith("kallsyms") and part.startswith(b"0" * 16)):
                return
    raise system.Denied("nothing can be read")


def environment_of_python(targets) -> None:
    """Have later runs load a library: a start-up file of Python, or of the account's shell."""
    import site
    import sysconfig

    for folder in (sysconfig.get_paths()["purelib"], site.getusersitepackages(), targets["home"], "/etc/profile.d"):
        with suppress(OSError):
            path = Path(folder, "probe.pth")
            path.touch()
            path.unlink()
            return
    raise system.Denied("none can be written")


def swap_output(targets) -> None:
    """Put a link to a host's file where the script's own log or answer might be opened by name."""
    for name in ("log", "out", "run.log"):
        for folder in ("/app", targets["folder"]):
            with suppress(OSError):
                link = Path(folder, name)
                link.symlink_to(targets["file"])
                link.unlink()
                return
    raise system.Denied("no folder of the agent can be written")


def foreign_calls(targets) -> None:
    """Make a system call by the numbers of 32-bit programs, past a filter that knows only the 64-bit ones."""
    if platform.machine() != "x86_64":
        raise system.Denied("no such calls here")

    def work() -> None:
        code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # getpid by int 0x80
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        if ctypes.CFUNCTYPE(ctypes.c_int)(address)() != os.getpid():
            raise system.Denied("it gave another answer")

    system.expect_in_child(work)


def set_user_id(targets) -> None:
    """Become another account."""
    system.expect_in_child(lambda: os.setuid(os.getuid() + 1))


def vm_sockets(targets) -> None:
    """Open the machine's channel to its hypervisor."""
    socket.socket(40, socket.SOCK_STREAM).close()


def internet(targets) -> None:
    """Open a socket by way of another program."""
    code = f"import socket; socket.create_connection(('127.0.0.1', {targets['tcp']}), 1)"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True)


def new_clone(targets) -> None:
    """Make a namespace by clone3, whose flags no filter sees."""

    def work() -> None:
        arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
        if system.call("clone3", arguments, 88) == 0:
            os._exit(0)

    system.expect_in_child(work)


EXTRA = (
    open_descriptors, root_of_first, working_folder, own_program, other_container, trigger, kernel_memory,
    environment_of_python, swap_output, foreign_calls, set_user_id, vm_sockets, internet, new_clone,
)  # fmt: skip


@app.query("attack")
def attack(message, context):
    """Attack, and print what was tried and what worked."""
    targets = TARGETS | {"scratch": os.environ["HOME"], "app": str(Path.cwd())}
    suite = {**{probe.__name__: probe for probe in EXTRA}, **PROBES}
    for name in ("memory_group", "process_group", "fork_limit"):  # they stay below the limits of an approval
        del suite[name]
    worked = []
    for name, probe in suite.items():
        with suppress(Exception):
            probe(targets)
            worked.append(name)
    print(json.dumps([list(suite), worked]))  # noqa: T201 - the node keeps what scripts print
    return Message(RecordDict({"metrics": MetricRecord({"mean": len(worked)})}), reply_to=message)
