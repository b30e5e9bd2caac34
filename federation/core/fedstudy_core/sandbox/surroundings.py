"""What of the machine a script's process must be able to read: Python, its packages, the system's libraries."""

import sys
import sysconfig
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
PACKAGES = ("fedstudy_core", "fedstudy_node")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/timezone",
)
READABLE = ("/sys/devices/system/cpu",)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
PROC = ("/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/proc/filesystems", "/proc/stat")


@cache
def python_folders() -> tuple[str, ...]:
    """Return where this Python and the packages that scripts may import lie, none inside another.

    The packages of an editable installation lie in a checkout: their own folders are named, not the checkout.
    """
    folders = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), Path(sys.executable).resolve()}
    paths = sysconfig.get_paths()
    folders |= {Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {Path(place) for place in sys.path if Path(place).name in _PACKAGE_FOLDERS}
    for name in PACKAGES:
        spec = find_spec(name)
        folders |= {Path(place) for place in (spec.submodule_search_locations or ())} if spec else set()
    wanted = {folder.resolve() for folder in folders if folder.exists()} | {
        place for place in folders if place.exists()
    }
    wanted.discard(Path("/"))
    return tuple(sorted(str(one) for one in wanted if not _is_covered(one, wanted)))


def _is_covered(folder: Path, others: set[Path]) -> bool:
    return any(folder != other and folder.is_relative_to(other) for other in others) or any(
        folder.is_relative_to(system) for system in SYSTEM
    )


def system_links() -> tuple[tuple[str, str], ...]:
    """Return the system folders that are links into /usr, as (link, where it leads)."""
    return tuple((folder, str(Path(folder).readlink())) for folder in SYSTEM if Path(folder).is_symlink())


def system_folders() -> tuple[str, ...]:
    """Return the system folders that are folders."""
    return tuple(folder for folder in SYSTEM if Path(folder).is_dir() and not Path(folder).is_symlink())
