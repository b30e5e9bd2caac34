"""Attacks on files: the hospital's, the node's, other studies', the script's own, the system's."""

import json
import os
from contextlib import suppress
from pathlib import Path

from fedstudy_core.sandbox.system import Denied, Probe, Targets, read


def host_file(targets: Targets) -> None:
    """Read a file of the hospital."""
    read(targets["file"])


def node_key(targets: Targets) -> None:
    """Read the node's identity key."""
    read(targets["key"])


def other_study(targets: Targets) -> None:
    """Read a file of another study's run."""
    read(targets["other"])


def list_home(targets: Targets) -> None:
    """List the agent's home."""
    if not os.listdir(targets["home"]):  # noqa: PTH208
        raise Denied("it is empty")


def symlink(targets: Targets) -> None:
    """Reach a file of the hospital through a link in the script's own folder."""
    link = Path(targets["scratch"], "link")
    link.symlink_to(targets["file"])
    try:
        read(str(link))
    finally:
        link.unlink()


def _create(folder: str) -> None:
    path = Path(folder, f"probe-{os.getpid()}")
    path.write_text("x")
    path.unlink()


def write_outside(targets: Targets) -> None:
    """Write into a folder of the hospital."""
    _create(targets["folder"])


def change_script(targets: Targets) -> None:
    """Change the approved script on the disk, for the next run to load."""
    _create(targets["app"])


def change_python(targets: Targets) -> None:
    """Add a module to the Python that all runs share."""
    _create(targets["python"])


def preload(targets: Targets) -> None:
    """Have the system's loader add code to every program: /etc/ld.so.preload."""
    path = Path("/etc/ld.so.preload")
    existed = path.exists()
    with path.open("a"):
        pass
    if not existed:
        path.unlink()


def kernel_settings(targets: Targets) -> None:
    """Open a setting of the kernel that decides what is run when a program crashes."""
    with Path("/proc/sys/kernel/core_pattern").open("r+b"):
        pass


def devices(targets: Targets) -> None:
    """Read a disk or the machine's memory past the file system."""
    with os.scandir("/dev") as entries:
        for entry in entries:
            if entry.name == "mem" or _is_disk(entry):
                with suppress(OSError):
                    os.close(os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK))
                    return
    raise Denied("there is none to read")


def _is_disk(entry: "os.DirEntry[str]") -> bool:
    return (entry.stat(follow_symlinks=False).st_mode & 0o170000) == 0o060000


def environment(targets: Targets) -> None:
    """Find the agent's secrets in an environment: the own one, or that of a process around."""
    word = targets["secret"].encode()
    if word in json.dumps(dict(os.environ)).encode():
        return
    for pid in (targets["agent"], os.getppid(), 1):
        with suppress(OSError):
            if word in Path(f"/proc/{pid}/environ").read_bytes():
                return
    raise Denied("no secret found")


ALL: tuple[Probe, ...] = (
    host_file,
    node_key,
    other_study,
    list_home,
    symlink,
    write_outside,
    change_script,
    change_python,
    preload,
    kernel_settings,
    devices,
    environment,
)
