"""The command line of bubblewrap (`bwrap`): a root of its own with nothing of the hospital's but what it is given.

/app        the script, read-only; the agent may unpack it there after the start
/data       the dataset's file, read-only
/scratch    empty, in memory, of bounded size; home and temporary folder of the script
/usr ...    the system's libraries and this Python, read-only
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from fedstudy_core.sandbox import surroundings

APP, DATA, SCRATCH = Path("/app"), Path("/data"), Path("/scratch")
CANARY = "/etc/canary"
_ACCOUNT = 1000
_ACCOUNTS = "script:x:1000:1000:script:/scratch:/usr/sbin/nologin\n"
_SMALL = 64 * 1024**2


def find() -> str | None:
    """Return the path of bwrap, if it is installed."""
    return shutil.which("bwrap")


def write_etc(folder: Path) -> None:
    """Write the few files of /etc that a sandbox gets as its own."""
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "passwd").write_text(_ACCOUNTS)
    (folder / "group").write_text(f"script:x:{_ACCOUNT}:\n")
    (folder / "canary").write_text("Landlock does not let a script read this.\n")


def arguments(
    *,
    app: Path,
    etc: Path,
    dataset: Path | None,
    hidden: Iterable[Path],
    environment: Mapping[str, str],
    scratch_mb: int,
) -> list[str]:
    """Return bwrap's options, without the command.

    Args:
        app: folder of the host that becomes /app.
        etc: folder that `write_etc` wrote.
        dataset: file of the host that becomes `inside_path(dataset)`.
        hidden: folders of the host that stay empty, should they lie in one that is shown.
        scratch_mb: size of /scratch, and of shared memory.
    """
    words = ["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"]
    words += ["--uid", str(_ACCOUNT), "--gid", str(_ACCOUNT), "--hostname", "sandbox"]
    words += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
    for name, value in environment.items():
        words += ["--setenv", name, value]
    # What is empty comes first: this Python may lie below /tmp.
    size = str(scratch_mb * 1024**2)
    words += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm"]  # noqa: S108
    words += ["--size", str(_SMALL), "--tmpfs", "/tmp", "--size", size, "--tmpfs", str(SCRATCH)]  # noqa: S108
    words += _shown(etc)
    for folder in hidden:
        if _lies_in_shown(folder):
            words += ["--size", "4096", "--tmpfs", str(folder), "--remount-ro", str(folder)]
    words += ["--ro-bind", str(app), str(APP)]
    if dataset is not None:
        words += ["--ro-bind", os.path.realpath(dataset), str(inside_path(dataset))]
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(SCRATCH)]


def inside_path(dataset: Path) -> Path:
    """Return where a dataset's file is for the script; of its own name only the ending is left."""
    return DATA / f"dataset{dataset.suffix}"


def readable() -> tuple[str, ...]:
    """Return what Landlock leaves readable inside."""
    etc = ("/etc/passwd", "/etc/group", *surroundings.ETC)
    shown = (*surroundings.SYSTEM, *surroundings.python_folders(), *etc, *surroundings.READABLE)
    return (*shown, str(APP), str(DATA), "/proc", "/dev")


def writable() -> tuple[str, ...]:
    """Return what Landlock leaves writable inside."""
    return (str(SCRATCH), "/tmp", "/dev/shm", *surroundings.DEVICES)  # noqa: S108 - of the sandbox's own


def _shown(etc: Path) -> list[str]:
    words: list[str] = []
    for folder in (*surroundings.system_folders(), *surroundings.python_folders()):
        words += ["--ro-bind", folder, folder]
    for link, target in surroundings.system_links():
        words += ["--symlink", target, link]
    for path in (*surroundings.ETC, *surroundings.READABLE):
        words += ["--ro-bind-try", path, path]
    for name in ("passwd", "group", "canary"):
        words += ["--ro-bind", str(etc / name), f"/etc/{name}"]
    return words


def _lies_in_shown(folder: Path) -> bool:
    shown = (*surroundings.system_folders(), *surroundings.python_folders())
    return folder.is_dir() and any(folder.resolve().is_relative_to(place) for place in shown)
