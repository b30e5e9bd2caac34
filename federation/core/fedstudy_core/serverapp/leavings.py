"""What a ServerApp leaves when it is done: what its strategy returned, and the files that it wrote.

NumPy's files are turned into safetensors here, behind the walls. Everything else, what `torch.save` wrote included,
stays bytes that nobody opens: reading such a file can run code.
"""

from __future__ import annotations

import functools
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, RecordDict
from flwr.serverapp.strategy import Result, Strategy

from fedstudy_core.artifacts import encode_arrays
from fedstudy_core.npy import read_npy
from fedstudy_core.serverapp.files import OTHER, PARAMETERS, LeftFile

MOST_FILES = 100
_METRICS = ("train_metrics_clientapp", "evaluate_metrics_clientapp", "evaluate_metrics_serverapp")


def note_results(keep: Callable[[Result], None]) -> None:
    """Have every strategy's `start` tell what it returns: apps mostly save it and forget it."""
    for strategy in _with_subclasses(Strategy):
        if "start" in vars(strategy):
            setattr(strategy, "start", _noting(vars(strategy)["start"], keep))  # noqa: B010 - a method of Flower's


def _with_subclasses(strategy: type) -> Iterator[type]:
    yield strategy
    subclasses: list[type] = strategy.__subclasses__()
    for below in subclasses:
        yield from _with_subclasses(below)


def _noting(start: Callable[..., Any], keep: Callable[[Result], None]) -> Callable[..., Any]:
    @functools.wraps(start)
    def wrapped(*args: Any, **named: Any) -> Any:
        result = start(*args, **named)
        if isinstance(result, Result):
            keep(result)
        return result

    return wrapped


def as_records(result: Result) -> RecordDict:
    """A result as records: `arrays`, and for each kind of metrics and round `<kind>.<round>`."""
    records = RecordDict({"arrays": result.arrays if result.arrays else ArrayRecord()})
    for kind in _METRICS:
        for number, metrics in getattr(result, kind).items():
            records[f"{kind}.{number}"] = metrics
    return records


def left_files(folder: Path) -> Iterator[LeftFile]:
    """The files in the app's folder, in the order of their names; hidden ones and caches are left out."""
    count = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file() or any(part.startswith((".", "__")) for part in Path(name).parts):
            continue
        count += 1
        if count > MOST_FILES:
            return
        yield _read(path, name)


def _read(path: Path, name: str) -> LeftFile:
    try:
        arrays = _parameters(path)
        if arrays:
            return LeftFile(f"{name}.safetensors", PARAMETERS, encode_arrays(arrays))
    except Exception as error:  # noqa: BLE001 - whatever a loader makes of a strange file, its bytes are kept
        sys.stderr.write(f"{name} is kept as it is: {error}\n")
    form = PARAMETERS if name.endswith(".safetensors") else OTHER
    return LeftFile(name, form, path.read_bytes())


def _parameters(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file that holds parameters; None for any other."""
    if path.suffix == ".npy":
        return {"0": read_npy(path.read_bytes())}
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy"): read_npy(archive.read(name)) for name in archive.namelist()}
    return None
