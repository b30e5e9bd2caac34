"""The machine that a measurement was made on, and what processes cost it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version

import psutil

PACKAGES = ("flwr", "torch", "numpy", "django", "celery")


def describe() -> dict[str, object]:
    """Cores, memory, load and the versions that matter."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
    }


def load() -> float:
    """Processes that wanted a core in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def cpu_seconds(roots: Iterable[int]) -> float:
    """What these processes and all they started have used so far, ended and reaped descendants included."""
    total = 0.0
    for root in roots:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(root)
            total += sum(_own_and_reaped(member) for member in [process, *process.children(recursive=True)])
    return total


def _own_and_reaped(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0
