"""The data dictionary as a table, one variable a row, that people edit in a spreadsheet. Nothing is lost on the way.

Columns: name, label, type, unit, codes, min, max, required, missing, identifier; only name and type have to be there.

* codes: `0 = no | 1 = yes`, or only the values: `mild | severe`. Whole numbers are numbers.
* missing: values that stand for “not measured”: `0 | -9 | n/a`.
* required, identifier: yes or no; a variable is required, and no identifier, where the cell is empty.
* In codes and missing a text in double quotes (as in JSON) is taken as it stands: `"01" | "a | b"`.
* A cell that a spreadsheet would take for a formula begins with an apostrophe, which is no part of it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from fedstudy_core.dictionary import MAX_VARIABLES, DataDictionary, Variable, parse
from fedstudy_core.errors import FieldProblem, Invalid
from fedstudy_core.sheets import Row, Sheet, cell_problem

COLUMNS = ("name", "label", "type", "unit", "codes", "min", "max", "required", "missing", "identifier")
_FIELDS = {"missing": "implausible"}
_FLAGS = {"yes": True, "y": True, "true": True, "1": True, "no": False, "n": False, "false": False, "0": False}
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,15})")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,15})(\.\d{1,30})?([eE][+-]?\d{1,3})?")
_QUOTED = re.compile(r'\s*("(?:[^"\\]|\\.)*")\s*')
_BARE_VALUE, _BARE_LABEL = re.compile(r"[^|=]*"), re.compile(r"[^|]*")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")
_FORMULA = re.compile(r"[=+\-@\t\r]")


class _Unreadable(ValueError):
    """A cell does not hold what its column asks for; the words say what that is."""


def read(sheet: Sheet) -> DataDictionary:
    """The dictionary of a table.

    Raises:
        Invalid: E_DICTIONARY_COLUMN for columns that are not known or not there; E_DICTIONARY_FILE with a problem for
            each cell (E_DICTIONARY_CELL), named by row and column.
    """
    columns = _columns(sheet)
    if not 1 <= len(sheet.rows) <= MAX_VARIABLES:
        raise Invalid("E_DICTIONARY_FILE", f"A dictionary has 1 to {MAX_VARIABLES} variables, one a row.")
    problems: list[FieldProblem] = []
    variables = [_variable(row, columns, problems) for row in sheet.rows]
    if problems:
        raise Invalid("E_DICTIONARY_FILE", "Some cells cannot be read.", errors=problems)
    try:
        return parse(variables)
    except Invalid as error:
        found = [_placed(problem, sheet) for problem in error.errors]
        raise Invalid("E_DICTIONARY_FILE", error.detail, errors=found) from error


def write(dictionary: DataDictionary) -> str:
    """The dictionary as CSV; `read` gives it back."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_guarded(cell) for cell in _cells(variable)] for variable in dictionary.variables)
    return text.getvalue()


def read_codes(text: str) -> list[dict[str, Any]]:
    """Codes as people write them (`0 = no | 1 = yes`). Raises ValueError with a sentence."""
    return [{"value": _typed(*value, _WHOLE), "label": label} for value, label in _items(text)]


def write_codes(variable: Variable) -> str:
    """Codes as `read_codes` reads them."""
    return " | ".join(
        _value(code.value, _WHOLE) + (f" = {_label(code.label)}" if code.label else "") for code in variable.codes
    )


def read_missing(text: str) -> list[str | int | float]:
    """Values that stand for “not measured” (`0 | -9`). Raises ValueError with a sentence."""
    items = list(_items(text))
    if any(label for _, label in items):
        raise _Unreadable("Values are separated by |, and need no words.")
    return [_typed(*value, _NUMBER) for value, _ in items]


def write_missing(variable: Variable) -> str:
    """The values as `read_missing` reads them."""
    return " | ".join(_value(value, _NUMBER) for value in variable.implausible)


def write_number(value: float | None) -> str:
    """A bound: as short as it can be said."""
    return "" if value is None else repr(value).removesuffix(".0")


def _columns(sheet: Sheet) -> dict[str, str]:
    """What each column of the sheet holds."""
    known = {name: name.lower() for name in sheet.columns if name.lower() in COLUMNS}
    expected = f"Columns are {', '.join(COLUMNS)}."
    problems = [
        cell_problem(1, name[:80], f"This column is not known. {expected}", "E_DICTIONARY_COLUMN")
        for name in sheet.columns
        if name not in known
    ]
    problems += [
        cell_problem(1, name, "This column has to be there.", "E_DICTIONARY_COLUMN")
        for name in ("name", "type")
        if name not in known.values()
    ]
    if problems:
        raise Invalid("E_DICTIONARY_COLUMN", errors=problems)
    return known


def _variable(row: Row, columns: dict[str, str], problems: list[FieldProblem]) -> dict[str, Any]:
    found = {}
    for column, name in columns.items():
        cell = row.cells[column]
        cell = cell[1:] if _GUARDED.match(cell) else cell
        try:
            value = _READERS[name](cell)
        except _Unreadable as unreadable:
            problems.append(cell_problem(row.number, name, str(unreadable)))
            continue
        if value is not None:
            found[_FIELDS.get(name, name)] = value
    return found


def _placed(problem: FieldProblem, sheet: Sheet) -> FieldProblem:
    """A problem of `parse`, named by the row and column of the sheet."""
    _, position, *rest = problem.field.split(".")
    columns = {field: column for column, field in _FIELDS.items()}
    column = columns.get(rest[0], rest[0]) if rest else "name"
    return cell_problem(sheet.rows[int(position)].number, column, problem.detail)


def _read_flag(cell: str) -> bool | None:
    word = cell.strip().lower()
    if not word:
        return None
    if word not in _FLAGS:
        raise _Unreadable("This is yes or no.")
    return _FLAGS[word]


def _read_bound(cell: str) -> float | None:
    word = cell.strip()
    if not word:
        return None
    if not _NUMBER.fullmatch(word):
        raise _Unreadable("This is a number, with a point before its fraction.")
    return float(word)


_READERS: dict[str, Callable[[str], Any]] = {
    "name": str.strip,
    "label": str,
    "type": lambda cell: cell.strip().lower(),
    "unit": str,
    "codes": read_codes,
    "min": _read_bound,
    "max": _read_bound,
    "required": _read_flag,
    "missing": read_missing,
    "identifier": _read_flag,
}


def _items(text: str) -> Iterator[tuple[tuple[str, bool], str]]:
    """Each value with whether it was quoted, and its label."""
    if not text.strip():
        return
    place = 0
    while True:
        value, quoted, place = _token(text, place, _BARE_VALUE)
        if not value and not quoted:
            raise _Unreadable("A value is missing: values are separated by |, as in 0 = no | 1 = yes.")
        label = ""
        if text[place : place + 1] == "=":
            label, _, place = _token(text, place + 1, _BARE_LABEL)
        yield (value, quoted), label
        if place == len(text):
            return
        if text[place] != "|":
            raise _Unreadable("After a text in quotes comes | or nothing.")
        place += 1


def _token(text: str, place: int, bare: re.Pattern[str]) -> tuple[str, bool, int]:
    """A text in quotes, or what is there up to the next mark; and where it ends."""
    quoted = _QUOTED.match(text, place)
    if quoted:
        try:
            return str(json.loads(quoted[1], strict=False)), True, quoted.end()
        except ValueError as error:
            raise _Unreadable("A text in quotes is written as in JSON.") from error
    found = bare.match(text, place)
    words = found[0].strip() if found else ""
    if words.startswith('"'):
        raise _Unreadable("A text in quotes is written as in JSON.")
    return words, False, found.end() if found else place


def _typed(text: str, quoted: bool, number: re.Pattern[str]) -> Any:
    """A value: text, or a number that is not in quotes."""
    if quoted or not number.fullmatch(text):
        return text
    return int(text) if _WHOLE.fullmatch(text) else float(text)


def _cells(variable: Variable) -> list[str]:
    return [
        variable.name,
        variable.label,
        variable.type,
        variable.unit,
        write_codes(variable),
        write_number(variable.min),
        write_number(variable.max),
        "yes" if variable.required else "no",
        write_missing(variable),
        "yes" if variable.identifier else "no",
    ]


def _value(value: str | int | float, number: re.Pattern[str]) -> str:
    if not isinstance(value, str):
        return repr(value)
    must = not value or value != value.strip() or set(value) & set('|="') or number.fullmatch(value)
    return json.dumps(value, ensure_ascii=False) if must else value


def _label(label: str) -> str:
    must = label != label.strip() or "|" in label or label.startswith('"')
    return json.dumps(label, ensure_ascii=False) if must else label


def _guarded(cell: str) -> str:
    """The cell so that no spreadsheet takes it for a formula; numbers are none."""
    if _GUARDED.match(cell) or (_FORMULA.match(cell) and not _NUMBER.fullmatch(cell)):
        return f"'{cell}"
    return cell
