"""The site's rows, read and prepared once for as long as the process stays warm."""

from __future__ import annotations

from flwr.app import Context, RecordDict

from fedstudy_node.scripting import open_table

from . import task
from .preparation import Moments, Split, prepare

_splits: dict[str, Split] = {}
_sites: dict[tuple[str, bytes], task.Site] = {}


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
    moments = _shared_moments(content) if context.run_config["normalise"] == task.GLOBAL else None
    constants = b"" if moments is None else b"".join(array.tobytes() for array in moments.arrays().values())
    key = (str(context.node_config["dataset-path"]), constants)
    if key not in _sites:
        _sites[key] = task.Site.of(read_split(context), moments)
    return _sites[key]


def _shared_moments(content: RecordDict) -> Moments:
    shared = content.array_records.get("shared")
    if not shared:
        raise ValueError("the run normalises by the moments of all sites, but the message brings none")
    return Moments.from_arrays({name: array.numpy() for name, array in shared.items()})
