"""Running something as root and as an ordinary account of the machine, with a Python that the account may run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedstudy_core.sandbox import cgroups

ACCOUNT = 61_001
ROOT = Path(__file__).parents[2]
_ENTER = """
import os, sys
for file in sys.argv[2].split(":") if sys.argv[2] else []:
    open(file, "w").write(str(os.getpid()))
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
os.chdir("/")
os.execv(sys.argv[3], sys.argv[3:])
"""


def run_as(
    account: int, python: Path, *words: str, groups: tuple[Path, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    """Run a Python program as an account, in control groups that were given to it."""
    entered = ":".join(str(folder / "cgroup.procs") for folder in groups)
    command = [sys.executable, "-I", "-S", "-c", _ENTER, str(account), entered, str(python), *words]
    if account == os.getuid():
        command = [str(python), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.defpath}, timeout=120)


def make_python(folder: Path) -> Path:
    """Return a Python with the packages of this one, which an ordinary account may run.

    This one may lie in root's home: then the system's of the same version serves, or a copy.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    places = [Path(sys.base_prefix), Path("/usr"), Path("/usr/local")]
    for place in [*places, folder / "copy"]:
        if place.parent == folder:
            _copy_python(place, version)
        python = place / "bin" / version
        if python.exists() and run_as(ACCOUNT, python, "-c", "import ssl").returncode == 0:
            return _with_packages(python, folder / "venv")
    raise AssertionError("no Python that an ordinary account may run")


def _copy_python(into: Path, version: str) -> None:
    base = Path(sys.base_prefix)
    leave = shutil.ignore_patterns("test", "__pycache__", "site-packages", "idlelib", "config-*")
    shutil.copytree(base / "lib" / version, into / "lib" / version, ignore=leave)
    (into / "bin").mkdir()
    shutil.copy(base / "bin" / version, into / "bin" / version)
    for library in (base / "lib").glob("libpython*"):
        shutil.copy(library, into / "lib")


def _with_packages(python: Path, folder: Path) -> Path:
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True, env={"PATH": os.defpath})
    paths = [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
    paths += [str(ROOT / "federation" / "core"), str(ROOT / "nodes" / "agent")]
    [packages] = (folder / "lib").glob("python*/site-packages")
    (packages / "shared.pth").write_text("".join(f"{path}\n" for path in paths))
    return folder / "bin" / "python"


@contextmanager
def delegated_groups(account: int) -> Iterator[tuple[Path, ...]]:
    """Control groups that belong to an account, as systemd's `Delegate=` makes them. Raises CgroupError."""
    parents = cgroups.find_parents()
    folders = tuple({folder / f"fedstudy-test-{os.getpid()}" for folder in parents.folders.values()})
    try:
        for folder in folders:
            folder.mkdir()
            for path in (folder, *folder.glob("cgroup.*"), *folder.glob("tasks")):
                os.chown(path, account, account)
        yield folders
    finally:
        for folder in folders:
            for left in folder.glob("*/"):
                cgroups._remove(left)
            cgroups._remove(folder)
