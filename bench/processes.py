"""What the processes of a running stack cost: CPU seconds and peak memory, by their part in the system."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import psutil

from bench.memory import together_mb
from devstack.processes import Supervisor

LOOK_S = 0.2
GROWTH = 1.01
TOTAL = "total"


@dataclass
class Watch:
    """Follows every process of a stack, and those that they start, from a thread of its own.

    Attributes:
        together: parts that are counted as one besides, such as the central side's, under a name of their own.
        peak_mb: the most memory of each part and of all together ("total"), in MB. A page that several of its processes
            share counts once (`memory`); looked at when its resident memory is at a new height, as that takes a while.
    """

    supervisor: Supervisor
    together: Mapping[str, Collection[str]] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _highest: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _cpu: dict[tuple[str, int, float], float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds of each part so far, those of ended processes included as they were last seen."""
        with self._looking:
            self._look()
        sums: dict[str, float] = defaultdict(float)
        for (part, _, _), seconds in list(self._cpu.items()):
            sums[part] += seconds
        return dict(sums)

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_S):
            with self._looking:
                self._look()

    def _look(self) -> None:
        resident: dict[str, dict[int, int]] = defaultdict(dict)
        for part, process in self._processes():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    resident[part][process.pid] = process.memory_info().rss
                    self._cpu[part, process.pid, process.create_time()] = times.user + times.system
            except psutil.Error:
                continue
        groups = {**self.together, TOTAL: list(resident)}
        for name, parts in groups.items():
            resident[name] = {pid: size for part in parts for pid, size in resident.get(part, {}).items()}
        for name, sizes in resident.items():
            if sum(sizes.values()) > GROWTH * self._highest[name]:
                self._highest[name] = sum(sizes.values())
                self.peak_mb[name] = max(self.peak_mb[name], together_mb(sizes))

    def _processes(self) -> Iterable[tuple[str, psutil.Process]]:
        for child in list(self.supervisor.children):
            try:
                root = psutil.Process(child.pid)
                family = [root, *root.children(recursive=True)]
            except psutil.Error:
                continue
            for process in family:
                yield child.command.name, process
