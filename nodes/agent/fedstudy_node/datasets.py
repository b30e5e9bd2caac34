"""The datasets that this node offers to studies: files of the hospital, bound to a study by a fingerprint."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli_w

from fedstudy_core.statement import Floor, Level
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, now_text, write_private
from fedstudy_node.node_config import MOST_VALUES, Value
from fedstudy_node.tables import Columns, file_sha256, fingerprint


@dataclass(frozen=True)
class Dataset:
    """A file bound to a study. `id` is the portal's; the path and the exact number of rows never leave the node.

    Attributes:
        config: what scripts find in `context.node_config` (`node_config`).
        people: how many people sign a script for it: 2 for a site admin and a data steward.
        min_sites, min_rows, sandbox_min: what every approval asks for at least.
    """

    id: str
    study: str
    name: str
    path: str
    format: str
    fingerprint: str
    columns: Columns
    rows_band: str
    rows: int
    people: int = 1
    min_sites: int = 1
    min_rows: int = 1
    sandbox_min: Level = "S0"
    config: Mapping[str, Value] = field(default_factory=dict)
    added_at: str = field(default_factory=now_text)

    @property
    def floor(self) -> Floor:
        """What its steward asks of every approval."""
        return Floor(self.people, self.min_sites, self.min_rows, self.sandbox_min)


@dataclass
class Datasets:
    """The bindings in a node's home, and their present fingerprints."""

    home: Home
    _seen: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)
    _read: dict[str, tuple[bytes, Dataset]] = field(default_factory=dict)

    def add(self, dataset: Dataset) -> None:
        """Keep a binding."""
        write_private(self._file(dataset.id), tomli_w.dumps(asdict(dataset)).encode())

    def remove(self, dataset: Dataset) -> None:
        """Offer a dataset no more; its file stays as it is."""
        self._file(dataset.id).unlink(missing_ok=True)
        self._seen.pop(dataset.id, None)

    def has(self, dataset_id: str) -> bool:
        """Whether a dataset is offered."""
        return self._file(dataset_id).is_file()

    def configure(self, dataset: Dataset, changes: Mapping[str, Value | None]) -> Dataset:
        """Change what scripts find in `context.node_config`; None takes a value away.

        Raises NodeError (E_NODE_CONFIG).
        """
        wanted = {**dataset.config, **changes}
        config = {name: value for name, value in wanted.items() if value is not None}
        if len(config) > MOST_VALUES:
            raise NodeError("E_NODE_CONFIG", f"A dataset has {MOST_VALUES} values at most.")
        changed = replace(dataset, config=config)
        self.add(changed)
        return changed

    def all(self) -> list[Dataset]:
        """Return the bindings, oldest first."""
        found = [self._load(file) for file in self.home.datasets_path.glob("*.toml")]
        return sorted(found, key=lambda dataset: (dataset.added_at, dataset.name))

    def get(self, dataset_id: str) -> Dataset:
        """Return a binding by its id. Raises NodeError (E_DATASET)."""
        if dataset_id and "/" not in dataset_id and self._file(dataset_id).is_file():
            return self._load(self._file(dataset_id))
        raise NodeError("E_DATASET", f"This node has no dataset {dataset_id!r}.")

    def find(self, text: str, *, study: str | None = None) -> Dataset:
        """Return the binding with this id or name, of one study if given. Raises NodeError (E_DATASET)."""
        found = [item for item in self.all() if text in (item.id, item.name) and (study is None or item.study == study)]
        if len(found) != 1:
            many = "several datasets" if found else "no dataset"
            raise NodeError("E_DATASET", f"This node has {many} called {text!r} for the study.")
        return found[0]

    def present_fingerprint(self, dataset: Dataset) -> str:
        """Return the fingerprint of the file as it is now; read again only when the file was touched.

        Its time of change is looked at as well, which nobody can set back as they can its time of modification.
        """
        path = Path(dataset.path)
        try:
            stat = path.stat()
        except OSError as error:
            raise NodeError("E_DATASET_FILE", f"{path} cannot be read: {error.strerror}.") from error
        stamp = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino, stat.st_dev)
        seen = self._seen.get(dataset.id)
        if seen is None or seen[0] != stamp:
            seen = (stamp, fingerprint(dataset.format, dataset.columns, file_sha256(path)))
            self._seen[dataset.id] = seen
        return seen[1]

    def _file(self, dataset_id: str) -> Path:
        return self.home.datasets_path / f"{dataset_id}.toml"

    def _load(self, file: Path) -> Dataset:
        try:
            content = file.read_bytes()
            known = self._read.get(file.name)
            if known is not None and known[0] == content:
                return known[1]
            raw: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
            dataset = Dataset(**raw)
        except (OSError, TypeError, ValueError) as error:  # what is no TOML, or no text, is a ValueError
            raise NodeError("E_HOME", f"{file} cannot be read: {error}.") from error
        self._read[file.name] = (content, dataset)
        return dataset
