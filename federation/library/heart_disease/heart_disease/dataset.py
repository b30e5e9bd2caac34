"""The site's rows, read and prepared once for as long as the process stays warm."""

from __future__ import annotations

from flwr.app import ArrayRecord, Context, RecordDict

from fedstudy_node.scripting import open_table

from . import task
from .preparation import Moments, Split, fill_cholesterol, prepare, prepare_pooled

POOLED = "pooled"

_splits: dict[tuple[str, float], Split] = {}
_sites: dict[tuple[str, float, tuple[tuple[str, bytes], ...]], task.Site] = {}


def read_split(context: Context) -> Split:
    """The site's complete and encoded rows; raises ValueError where the data does not fit the study.

    Where the node says that its dataset is pooled, they are train rows of several sites.
    """
    key = _what(context)
    if key not in _splits:
        read = prepare_pooled if context.node_config.get(POOLED) else prepare
        split, (_, cholesterol) = read(open_table(context).to_pydict()), key
        _splits[key] = fill_cholesterol(split, cholesterol) if cholesterol else split
    return _splits[key]


def read_site(context: Context, content: RecordDict) -> task.Site:
    """The site's rows ready for the model, normalised as the run says.

    Raises ValueError where the run normalises by all sites' moments and the message does not carry them.
    """
    shared = _shared(content) if context.run_config["normalise"] == task.GLOBAL else ArrayRecord()
    came = tuple((name, bytes(array.data)) for name, array in shared.items())
    key = (*_what(context), came)
    if key not in _sites:
        _sites[key] = task.Site.of(read_split(context), _moments(shared))
    return _sites[key]


def _what(context: Context) -> tuple[str, float]:
    """The dataset's path, and what the run puts in the place of a cholesterol of 0."""
    return str(context.node_config["dataset-path"]), float(context.run_config["cholesterol-missing"])


def _shared(content: RecordDict) -> ArrayRecord:
    shared = content.array_records.get("shared")
    if not shared:
        raise ValueError("the run normalises by the moments of all sites, but the message brings none")
    return shared


def _moments(shared: ArrayRecord) -> Moments | None:
    return Moments.from_arrays({name: array.numpy() for name, array in shared.items()}) if shared else None
