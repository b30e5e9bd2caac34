"""The memory of several processes together, each page counted once however many of them have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_MB_A_KB = 1024 / 1e6


def together_mb(pids: Iterable[int]) -> float:
    """Memory of processes that share pages with each other, in MB; one that has ended meanwhile counts nothing.

    Pages of files are counted by file, as many as the process has that has most of them, also where other processes
    have them too: on a machine of their own these would have them alone. All other pages are counted by the share
    that the kernel tells ("proportional"); such are shared after a fork, which is among these.
    """
    files: dict[str, float] = defaultdict(float)
    others = 0.0
    for pid in pids:
        try:
            own, mapped = _shares(pid), _files(pid)
        except OSError:
            continue
        others += own
        for name, size in mapped.items():
            files[name] = max(files[name], size)
    return (others + sum(files.values())) * _MB_A_KB


def _shares(pid: int) -> float:
    """Kilobytes of a process that lie in no file, where several have them its share."""
    told = dict(_sizes(Path(f"/proc/{pid}/smaps_rollup").read_text()))
    return told["Pss_Anon"] + told["Pss_Shmem"]


def _files(pid: int) -> Mapping[str, float]:
    """Kilobytes that a process has of each file."""
    files: dict[str, float] = defaultdict(float)
    for mapping in Path(f"/proc/{pid}/smaps").read_text().split("VmFlags:"):
        path = mapping.find("/")
        told = dict(_sizes(mapping))
        if 0 <= path < mapping.find("\nSize:"):
            name = mapping[path:].splitlines()[0]
            files[name] += told["Rss"] - told["Anonymous"]
    return files


def _sizes(text: str) -> Iterator[tuple[str, float]]:
    """The sizes among the lines, such as "Rss:   12 kB"."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[0].endswith(":") and words[2] == "kB":
            yield words[0].removesuffix(":"), float(words[1])
