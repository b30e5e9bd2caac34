"""Control groups: memory, number of processes and processor time of everything that one script starts, together.

Version 1 and version 2 alike, whichever has the controller. A group is made below the agent's own, so it needs no right
beyond that: as an ordinary account the agent must have been given its group (systemd: `Delegate=yes`).
"""

import os
import secrets
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CONTROLLERS = ("memory", "pids", "cpu")
_PREFIX = "fedstudy-"
_LEAF = "fedstudy-agent"
_PERIOD = 100_000
_PATIENCE = 3.0


class CgroupError(Exception):
    """A control group cannot be made or set; the text names what is missing."""


@dataclass(frozen=True)
class Ceiling:
    """Most memory in MiB, most processes and threads, most processors."""

    memory_mb: int
    processes: int
    processors: int


@dataclass(frozen=True)
class Parents:
    """The folder below which groups are made, for each controller; the same one for all under version 2."""

    folders: dict[str, Path]
    unified: frozenset[str]


def find_parents(proc: Path = Path("/proc/self")) -> Parents:
    """Find this process's own groups. Raises CgroupError when a controller is missing."""
    mounts = _mounts(proc)
    own = dict(_own(proc))
    folders: dict[str, Path] = {}
    unified = set()
    for controller in CONTROLLERS:
        if controller in mounts and controller in own:
            folders[controller] = _below(mounts[controller], own[controller])
        elif "" in mounts and "" in own and _has(_above_leaf(_below(mounts[""], own[""])), controller):
            folders[controller] = _above_leaf(_below(mounts[""], own[""]))
            unified.add(controller)
        else:
            raise CgroupError(f"there is no {controller} controller")
    return Parents(folders, frozenset(unified))


def _mounts(proc: Path) -> dict[str, tuple[str, str]]:
    """Return where hierarchies are mounted: controller ("" for version 2) -> (root, mount point)."""
    found: dict[str, tuple[str, str]] = {}
    for line in (proc / "mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split(maxsplit=2)
        if kind == "cgroup2":
            found[""] = (root, point)
        elif kind == "cgroup":
            found.update({name: (root, point) for name in options.split(",") if name in CONTROLLERS})
    return found


def _own(proc: Path) -> list[tuple[str, str]]:
    lines = [line.split(":", 2) for line in (proc / "cgroup").read_text().splitlines()]
    return [(name, path) for _, names, path in lines for name in names.split(",")]


def _below(mount: tuple[str, str], path: str) -> Path:
    root, point = mount
    inside = path.removeprefix(root) if root != "/" else path
    return Path(point, inside.lstrip("/"))


def _above_leaf(folder: Path) -> Path:
    """Return the group that `prepare` moved this process out of, if it did."""
    return folder.parent if folder.name == _LEAF else folder


def _has(folder: Path, controller: str) -> bool:
    try:
        return controller in (folder / "cgroup.controllers").read_text().split()
    except OSError:
        return False


def prepare(parents: Parents) -> Parents:
    """Make this process's groups fit to have groups below them; remove what earlier agents left.

    Under version 2 a group with processes hands no controllers down, so the agent moves into a leaf of its own first.
    Raises CgroupError when a group cannot be made.
    """
    try:
        for folder in {parents.folders[name] for name in parents.unified}:
            leaf = folder / _LEAF
            leaf.mkdir(exist_ok=True)
            (leaf / "cgroup.procs").write_text(str(os.getpid()))
            (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(parents.unified)))
    except OSError as error:
        raise CgroupError(f"{error.filename} cannot be written ({error.strerror})") from error
    for folder in set(parents.folders.values()):
        for left in folder.glob(f"{_PREFIX}[0-9]*"):
            owner = left.name.removeprefix(_PREFIX).split("-")[0]
            if not Path("/proc", owner).exists():
                _remove(left)
    Group(parents, Ceiling(memory_mb=64, processes=8, processors=1)).remove()
    return parents


class Group:
    """One script's control group, over all hierarchies."""

    def __init__(self, parents: Parents, ceiling: Ceiling) -> None:
        """Make the group. Raises CgroupError."""
        name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self._folders = {controller: folder / name for controller, folder in parents.folders.items()}
        self._unified = parents.unified
        try:
            for folder in set(self._folders.values()):
                folder.mkdir()
        except OSError as error:
            self.remove()
            raise CgroupError(f"no group can be made in {Path(error.filename).parent} ({error.strerror})") from error
        try:
            self.limit(ceiling)
        except CgroupError:
            self.remove()
            raise

    def limit(self, ceiling: Ceiling) -> None:
        """Set the group's limits. Raises CgroupError."""
        memory = str(ceiling.memory_mb * 1024**2)
        quota = ceiling.processors * _PERIOD
        self._write("pids", "pids.max", str(ceiling.processes))
        if "memory" in self._unified:
            self._write("memory", "memory.max", memory)
            self._write("memory", "memory.swap.max", "0", optional=True)
            self._write("memory", "memory.oom.group", "1", optional=True)
        else:
            # With swap counted, the second limit is never below the first: which goes first depends on the direction.
            self._write("memory", "memory.memsw.limit_in_bytes", memory, optional=True)
            self._write("memory", "memory.limit_in_bytes", memory)
            self._write("memory", "memory.memsw.limit_in_bytes", memory, optional=True)
        if "cpu" in self._unified:
            self._write("cpu", "cpu.max", f"{quota} {_PERIOD}")
        else:
            self._write("cpu", "cpu.cfs_period_us", str(_PERIOD))
            self._write("cpu", "cpu.cfs_quota_us", str(quota))

    def add(self, pid: int) -> None:
        """Put a process into the group; what it starts from now on is in it too. Raises CgroupError."""
        for controller in self._folders:
            self._write(controller, "cgroup.procs", str(pid))

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel ended a process of the group for want of memory."""
        name = "memory.events" if "memory" in self._unified else "memory.oom_control"
        try:
            lines = (self._folders["memory"] / name).read_text().splitlines()
        except OSError:
            return False
        return any(line.split()[0] == "oom_kill" and line.split()[1] != "0" for line in lines if line.strip())

    def remove(self) -> None:
        """End what is left in the group, and the group."""
        for folder in set(self._folders.values()):
            _remove(folder)

    def _write(self, controller: str, name: str, value: str, *, optional: bool = False) -> None:
        try:
            (self._folders[controller] / name).write_text(value)
        except OSError as error:
            if not optional:
                raise CgroupError(f"{name} cannot be set ({error.strerror})") from error


def _remove(folder: Path) -> None:
    """Remove a group once the processes in it are gone."""
    until = time.monotonic() + _PATIENCE
    while folder.is_dir():
        with suppress(OSError):
            for pid in (folder / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > until:
                return
            time.sleep(0.005)
