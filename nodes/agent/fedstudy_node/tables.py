"""Reading data files (CSV, Parquet, SQLite) and naming their exact content by a fingerprint."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fedstudy_core import canonical
from fedstudy_node.errors import NodeError

if TYPE_CHECKING:
    import pandas
    import pyarrow

CSV, PARQUET, SQLITE = "csv", "parquet", "sqlite"
_SUFFIXES = {
    ".csv": CSV, ".parquet": PARQUET, ".pq": PARQUET, ".db": SQLITE, ".sqlite": SQLITE, ".sqlite3": SQLITE,
}  # fmt: skip

Columns = list[dict[str, str]]


def format_of(path: Path) -> str:
    """Return the format of a data file by its ending. Raises NodeError (E_DATASET_FILE)."""
    try:
        return _SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise NodeError(
            "E_DATASET_FILE", f"{path.name} is neither CSV (.csv), Parquet (.parquet) nor SQLite (.db)."
        ) from None


def read_table(path: Path, format_: str) -> "pandas.DataFrame":
    """Read a whole data file. Raises NodeError (E_DATASET_FILE) with what is wrong."""
    import pandas

    try:
        if format_ == PARQUET:
            return pandas.read_parquet(path)
        if format_ == SQLITE:
            return _read_database(path)
        return pandas.read_csv(path, encoding="utf-8-sig", skipinitialspace=True)
    except OSError as error:
        raise NodeError("E_DATASET_FILE", f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, UnicodeError) as error:  # parser errors of pandas and pyarrow are ValueErrors
        raise NodeError("E_DATASET_FILE", f"{path.name} is not a readable {format_} file: {error}") from error


def read_arrow(path: Path, format_: str) -> "pyarrow.Table":
    """Read a whole data file without pandas. Raises NodeError (E_DATASET_FILE) with what is wrong."""
    import pyarrow

    try:
        if format_ == PARQUET:
            from pyarrow import parquet

            return parquet.read_table(path, use_threads=False)
        if format_ == SQLITE:
            names, rows = _rows_of_database(path)
            return pyarrow.table({name: [row[index] for row in rows] for index, name in enumerate(names)})
        from pyarrow import csv

        one_thread, missing = csv.ReadOptions(use_threads=False), csv.ConvertOptions(strings_can_be_null=True)
        return csv.read_csv(path, read_options=one_thread, convert_options=missing)
    except OSError as error:
        raise NodeError("E_DATASET_FILE", f"{path} cannot be read: {error.strerror or error}.") from error
    except (pyarrow.ArrowException, ValueError) as error:
        raise NodeError("E_DATASET_FILE", f"{path.name} is not a readable {format_} file: {error}") from error


def _read_database(path: Path) -> "pandas.DataFrame":
    import pandas

    names, rows = _rows_of_database(path)
    return pandas.DataFrame.from_records(rows, columns=names)


def _rows_of_database(path: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of a SQLite file's one table. Raises ValueError for another number of tables, or no database."""
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            found = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            names = [str(name) for (name,) in connection.execute(found)]
            if len(names) != 1:
                raise ValueError(f"it has {len(names)} tables; one is needed, with the study's rows")
            rows = connection.execute('SELECT * FROM "{}"'.format(names[0].replace('"', '""')))  # noqa: S608
            return [str(item[0]) for item in rows.description], rows.fetchall()
    except sqlite3.Error as error:
        raise ValueError(str(error)) from error


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
