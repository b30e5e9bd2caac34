"""Reading data files (CSV, Parquet) and naming their exact content by a fingerprint."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedstudy_core import canonical
from fedstudy_node.errors import NodeError

if TYPE_CHECKING:
    import pandas

CSV, PARQUET = "csv", "parquet"
_SUFFIXES = {".csv": CSV, ".parquet": PARQUET, ".pq": PARQUET}

Columns = list[dict[str, str]]


def format_of(path: Path) -> str:
    """Return the format of a data file by its ending. Raises NodeError (E_DATASET_FILE)."""
    try:
        return _SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise NodeError("E_DATASET_FILE", f"{path.name} is neither CSV (.csv) nor Parquet (.parquet).") from None


def read_table(path: Path, format_: str) -> "pandas.DataFrame":
    """Read a whole data file. Raises NodeError (E_DATASET_FILE) with what is wrong."""
    import pandas

    try:
        if format_ == PARQUET:
            return pandas.read_parquet(path)
        return pandas.read_csv(path, encoding="utf-8-sig", skipinitialspace=True)
    except OSError as error:
        raise NodeError("E_DATASET_FILE", f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, UnicodeError) as error:  # parser errors of pandas and pyarrow are ValueErrors
        raise NodeError("E_DATASET_FILE", f"{path.name} is not a readable {format_} file: {error}") from error


def columns_of(table: "pandas.DataFrame") -> Columns:
    """Return the names and types of a table's columns, in their order."""
    from pandas.api import types

    def type_name(dtype: Any) -> str:
        if types.is_bool_dtype(dtype):
            return "boolean"
        if types.is_integer_dtype(dtype):
            return "integer"
        if types.is_numeric_dtype(dtype):
            return "number"
        return "date" if types.is_datetime64_any_dtype(dtype) else "text"

    return [{"name": str(name), "type": type_name(dtype)} for name, dtype in table.dtypes.items()]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes. Raises NodeError (E_DATASET_FILE)."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NodeError("E_DATASET_FILE", f"{path} cannot be read: {error.strerror}.") from error


def fingerprint(format_: str, columns: Columns, content_sha256: str) -> str:
    """Return the name of a dataset's exact content: a digest of its columns and its file's bytes."""
    described = {"v": 1, "format": format_, "columns": columns, "content_sha256": content_sha256}
    return canonical.digest(b"fedstudy-dataset-v1\n" + canonical.dumps(described))
