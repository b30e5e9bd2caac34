"""The site's rows, read and prepared once for as long as the process stays warm."""

from __future__ import annotations

from flwr.app import ArrayRecord, Context, RecordDict

from fedstudy_node.scripting import open_table

from . import task
from .preparation import Moments, Split, prepare

_splits: dict[str, Split] = {}
_sites: dict[tuple[str, tuple[tuple[str, bytes], ...]], task.Site] = {}


def read_split(context: Context) -> Split:
    """The site's complete and encoded rows; raises ValueError where the data does not fit the study."""
    path = str(context.node_config["dataset-path"])
    if path not in _splits:
        _splits[path] = prepare(open_table(context).to_pydict())
    return _splits[path]


def read_site(context: Context, content: RecordDict) -> task.Site:
    """The site's rows ready for the model, normalised as the run says.

    Raises ValueError where the run normalises by all sites' moments and the message does not carry them.
    """
    shared = _shared(content) if context.run_config["normalise"] == task.GLOBAL else ArrayRecord()
    came = tuple((name, bytes(array.data)) for name, array in shared.items())
    key = (str(context.node_config["dataset-path"]), came)
    if key not in _sites:
        _sites[key] = task.Site.of(read_split(context), _moments(shared))
    return _sites[key]


def _shared(content: RecordDict) -> ArrayRecord:
    shared = content.array_records.get("shared")
    if not shared:
        raise ValueError("the run normalises by the moments of all sites, but the message brings none")
    return shared


def _moments(shared: ArrayRecord) -> Moments | None:
    return Moments.from_arrays({name: array.numpy() for name, array in shared.items()}) if shared else None
