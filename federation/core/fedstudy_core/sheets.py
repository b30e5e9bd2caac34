"""Tables in CSV files, as spreadsheets and registries write them: UTF-8, with commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from fedstudy_core.errors import FieldProblem, Invalid

MAX_BYTES = 3 * 1024 * 1024
MAX_ROWS = 10_000
MAX_CELL = 20_000
_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Row:
    """A row below the header.

    Attributes:
        number: as spreadsheets count, the header being row 1.
        cells: texts by the name of their column; every column is there.
    """

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Sheet:
    """A table: the names of its columns as they stand in the header, and the rows that hold something."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def cell_problem(row: int, column: str, detail: str, code: str = "E_DICTIONARY_CELL") -> FieldProblem:
    """What is wrong with a cell, named as people find it."""
    return FieldProblem(f"row {row}, {column}", code, detail)


def read_sheet(content: bytes) -> Sheet:
    """The table of a CSV file; its delimiter is the one that splits the header into most columns.

    Raises:
        Invalid: E_DICTIONARY_FILE for what is no such file, is too large, or has rows longer than its header;
            E_DICTIONARY_COLUMN for columns without a name, or of the same.
    """
    if len(content) > MAX_BYTES:
        raise Invalid("E_DICTIONARY_FILE", f"A dictionary's file has at most {MAX_BYTES // 2**20} MiB.")
    try:
        text = content.decode("utf-8-sig")
        delimiter = max(_DELIMITERS, key=lambda mark: len(next(_records(text, mark), [])))
        records = list(islice(_records(text, delimiter), MAX_ROWS + 2))
    except UnicodeDecodeError as error:
        raise Invalid("E_DICTIONARY_FILE", "The file is not text in UTF-8; save it as “CSV UTF-8”.") from error
    except csv.Error as error:
        raise Invalid("E_DICTIONARY_FILE", f"The file is not CSV: {error}.") from error
    if not records or not any(map(str.strip, records[0])):
        raise Invalid("E_DICTIONARY_FILE", "The file has no header: its first row names the columns.")
    if len(records) > MAX_ROWS + 1:
        raise Invalid("E_DICTIONARY_FILE", f"A dictionary's file has at most {MAX_ROWS} rows.")
    columns = _header(records[0])
    return Sheet(columns, _rows(columns, records[1:]))


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _header(cells: list[str]) -> tuple[str, ...]:
    names = [name.strip() for name in cells]
    while names and not names[-1]:
        names.pop()
    problems = []
    for place, name in enumerate(names, start=1):
        if not name:
            problems.append(cell_problem(1, f"column {place}", "This column has no name.", "E_DICTIONARY_COLUMN"))
        elif name.casefold() in (other.casefold() for other in names[: place - 1]):
            problems.append(cell_problem(1, name[:80], "This column is there twice.", "E_DICTIONARY_COLUMN"))
    if problems:
        raise Invalid("E_DICTIONARY_COLUMN", errors=problems)
    return tuple(names)


def _rows(columns: tuple[str, ...], records: list[list[str]]) -> tuple[Row, ...]:
    rows, problems = [], []
    for number, cells in enumerate(records, start=2):
        if any(map(str.strip, cells[len(columns) :])):
            problems.append(cell_problem(number, "the end", "The row has more cells than the header."))
        problems += [
            cell_problem(number, name, f"A cell has at most {MAX_CELL} characters.")
            for name, cell in zip(columns, cells, strict=False)
            if len(cell) > MAX_CELL
        ]
        if any(map(str.strip, cells)):
            filled = [*cells, *[""] * (len(columns) - len(cells))]
            rows.append(Row(number, dict(zip(columns, filled, strict=False))))
    if problems:
        raise Invalid("E_DICTIONARY_FILE", errors=problems)
    return tuple(rows)
