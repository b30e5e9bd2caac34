"""Where a pool node has rows in plain: files in memory only, readable by nobody else, gone when the agent stops."""

import os
import shutil
from pathlib import Path

from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home

_MOUNTS = Path("/proc/self/mountinfo")
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


class Memory:
    """A node's own folder in a file system that is memory, as `Settings.pool_memory` names one."""

    def __init__(self, home: Home) -> None:
        settings = home.enrolled()
        self._root = Path(settings.pool_memory)
        self.path = self._root / f"fedstudy-pool-{os.getuid()}-{settings.node}"

    def prepare(self) -> Path:
        """Make the folder. Raises NodeError (E_POOL_MEMORY) where it would lie on a disk, or is somebody else's."""
        if file_system_of(self._root) not in _IN_MEMORY:
            raise NodeError("E_POOL_MEMORY", f"{self._root} is not memory (tmpfs): set pool_memory in node.toml.")
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            stat = self.path.lstat()
        except OSError as error:
            raise NodeError("E_POOL_MEMORY", f"{self.path} cannot be made: {error.strerror}.") from error
        if stat.st_uid != os.getuid() or stat.st_mode & 0o777 != 0o700 or self.path.is_symlink():
            raise NodeError("E_POOL_MEMORY", f"{self.path} is not this node's own.")
        return self.path

    def table_path(self, study: str) -> Path:
        """Where the pooled table of a study lies."""
        return self.path / f"{study}.parquet"

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)


def file_system_of(path: Path) -> str:
    """Return the kind of file system that a path is in; "" where that cannot be told."""
    place = path.resolve()
    best, kind = Path(), ""
    try:
        lines = _MOUNTS.read_text("utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        left, _, right = line.partition(" - ")
        mounted = Path(left.split()[4].replace("\\040", " "))
        if (mounted == place or mounted in place.parents) and len(mounted.parts) >= len(best.parts):
            best, kind = mounted, right.split()[0]
    return kind
