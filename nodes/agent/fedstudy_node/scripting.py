"""What a study script may import from the node: `open_dataset` or `open_table`, and `resampling` for its tests.

`open_table` spares a script the import of pandas: on two cores half a second at the start of each run, and 70 MB.

The same script runs under Flower alone with `--node-config 'dataset-path="/data/heart.csv"'`.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fedstudy_node.tables import format_of, read_arrow, read_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas
    import pyarrow

    from fedstudy_core.resampling import Resampling

DATASET_PATH = "dataset-path"
DATASET_FORMAT = "dataset-format"
DRAWING_KEY = "drawing-key"


class HasNodeConfig(Protocol):
    """What this module needs of a Flower `Context`."""

    @property
    def node_config(self) -> Mapping[str, bool | float | int | str]:
        """Settings that are the node's own."""


def open_dataset(context: HasNodeConfig) -> "pandas.DataFrame":
    """Return the rows that this node offers to the study: a fresh table at each call.

    Raises KeyError when the node gives no dataset, NodeError (E_DATASET_FILE) when it cannot be read.
    """
    path, format_ = _file(context)
    stat = path.stat()
    return _read(path, format_, stat.st_mtime_ns, stat.st_size).copy()


def open_table(context: HasNodeConfig) -> "pyarrow.Table":
    """Return the rows that this node offers to the study as an Arrow table, which never changes; read at each call.

    Missing values are null; in CSV files those are the words that pandas takes for missing. Raises KeyError when the
    node gives no dataset, NodeError (E_DATASET_FILE) when it cannot be read.
    """
    return read_arrow(*_file(context))


def resampling(context: HasNodeConfig, rows: bytes, labels: "npt.NDArray[np.bool_]", times: int) -> "Resampling | None":
    """Return what draws the test's rows again and again, the same in every run: for replicates of its measures.

    Args:
        rows: names the test's rows as they are before a run's own preparation , such as a digest of them.
        labels: (rows,) true for the positive ones.
        times: how many replicates, 1 to 200; 0 for none.

    Returns:
        None for no replicates, and where nobody gives a key: under Flower alone.
    """
    key = context.node_config.get(DRAWING_KEY)
    if not times or key is None:
        return None
    from fedstudy_core.resampling import Resampling

    return Resampling(bytes.fromhex(str(key)), rows, labels, times)


def _file(context: HasNodeConfig) -> tuple[Path, str]:
    path = Path(str(context.node_config[DATASET_PATH]))
    return path, str(context.node_config.get(DATASET_FORMAT, "")) or format_of(path)


@lru_cache(maxsize=1)
def _read(path: Path, format_: str, _mtime_ns: int, _size: int) -> "pandas.DataFrame":
    return read_table(path, format_)
