"""What a script must not be able to use up, and what only the strongest level stops."""

import os
import resource
from contextlib import suppress

from fedstudy_core.sandbox.system import Denied, Probe, Targets, expect_in_child, read

_MiB = 1024**2


def core_dump(targets: Targets) -> None:
    """Leave memory on the disk by crashing."""
    _unbounded(resource.RLIMIT_CORE, 0)


def descriptor_limit(targets: Targets) -> None:
    """Open files without end."""
    _unbounded(resource.RLIMIT_NOFILE, 65_536)


def file_limit(targets: Targets) -> None:
    """Write a file without end."""
    _unbounded(resource.RLIMIT_FSIZE, 1024**4)


def _unbounded(which: int, most: int) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY and hard <= most:
        raise Denied(f"at most {hard}")


def landlock(targets: Targets) -> None:
    """Read what the root of its own shows and only Landlock forbids."""
    read(targets["canary"])


def process_group(targets: Targets) -> None:
    """Start more processes than the control group allows."""
    _fork_many(int(targets["most_processes"]) + 8)


def memory_group(targets: Targets) -> None:
    """Use more memory than the control group allows."""
    expect_in_child(lambda: bytearray(b"x") * (int(targets["most_memory_mb"]) * 2 * _MiB))


def fork_limit(targets: Targets) -> None:
    """Start processes without end: because there is no limit, or because it does not bind this account."""
    with suppress(Denied):
        _unbounded(resource.RLIMIT_NPROC, 4096)
        return
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NPROC, (24, 24))
    _fork_many(48)


def _fork_many(count: int) -> None:
    """Have `count` processes at once. Raises OSError when the system stops it before."""
    reading, writing = os.pipe()
    made = []
    try:
        for _ in range(count):
            pid = os.fork()
            if pid == 0:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
            made.append(pid)
    finally:
        os.close(writing)
        for pid in made:
            os.waitpid(pid, 0)
        os.close(reading)


ALL: tuple[Probe, ...] = (core_dump, descriptor_limit, file_limit, landlock, process_group, memory_group, fork_limit)
