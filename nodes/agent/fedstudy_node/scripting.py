"""What a study script may import from the node: `from fedstudy_node.scripting import open_dataset`.

The same script runs under Flower alone with `--node-config 'dataset-path="/data/heart.csv"'`.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fedstudy_node.tables import format_of, read_table

if TYPE_CHECKING:
    import pandas

DATASET_PATH = "dataset-path"
DATASET_FORMAT = "dataset-format"


class HasNodeConfig(Protocol):
    """What this module needs of a Flower `Context`."""

    @property
    def node_config(self) -> Mapping[str, bool | float | int | str]:
        """Settings that are the node's own."""


def open_dataset(context: HasNodeConfig) -> "pandas.DataFrame":
    """Return the rows that this node offers to the study: a fresh table at each call.

    Raises KeyError when the node gives no dataset, NodeError (E_DATASET_FILE) when it cannot be read.
    """
    path = Path(str(context.node_config[DATASET_PATH]))
    format_ = str(context.node_config.get(DATASET_FORMAT, "")) or format_of(path)
    stat = path.stat()
    return _read(path, format_, stat.st_mtime_ns, stat.st_size).copy()


@lru_cache(maxsize=1)
def _read(path: Path, format_: str, _mtime_ns: int, _size: int) -> "pandas.DataFrame":
    return read_table(path, format_)
