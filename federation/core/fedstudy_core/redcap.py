"""REDCap's data dictionary (its 18 columns) as one of ours; what has no place here is noted row by row.

The columns may be called as in the file that REDCap's project setup offers ("Variable / Field Name", ...) or as in its
API ("field_name", ...). Rows never make the whole fail: what cannot be carried over is left out, with a note.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fedstudy_core.canonical import plain_text
from fedstudy_core.dictionary import MAX_VARIABLES, DataDictionary, parse
from fedstudy_core.errors import Invalid
from fedstudy_core.markup import without_markup
from fedstudy_core.reading import CHANGED, IDENTIFIER, LEFT_OUT, Note
from fedstudy_core.sheets import Row, Sheet, cell_problem

NAME, TYPE = "field_name", "field_type"
# REDCap's own name of each column, by the words that its file begins with.
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "variable / field name": NAME,
        "form name": "form_name",
        "section header": "section_header",
        "field type": TYPE,
        "field label": "field_label",
        "choices, calculations, or slider labels": "select_choices_or_calculations",
        "choices or calculations": "select_choices_or_calculations",
        "field note": "field_note",
        "text validation type or show slider number": "text_validation_type_or_show_slider_number",
        "text validation min": "text_validation_min",
        "text validation max": "text_validation_max",
        "identifier?": "identifier",
        "branching logic (show field only if...)": "branching_logic",
        "required field?": "required_field",
        "custom alignment": "custom_alignment",
        "question number (surveys only)": "question_number",
        "matrix group name": "matrix_group_name",
        "matrix ranking?": "matrix_ranking",
        "field annotation": "field_annotation",
    }
)
CHOICES, CHECK = "select_choices_or_calculations", "text_validation_type_or_show_slider_number"
LOW, HIGH = "text_validation_min", "text_validation_max"
_UNUSED = (
    "section_header", "field_note", "custom_alignment", "question_number", "matrix_group_name", "matrix_ranking",
    "field_annotation",
)  # fmt: skip
_NUMBERS = re.compile(r"number(_\ddp)?(_comma_decimal)?")
_PEOPLE = re.compile(r"email|phone.*|ssn|v?mrn.*")
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,14})")
_RECORD = re.compile(r"(.*_)?(id|record|record_?id)")
_SAID = 120


@dataclass
class _Field:
    """A row of REDCap's dictionary while it is read, with the notes about it."""

    row: Row
    columns: Mapping[str, str]
    notes: list[Note] = field(default_factory=list)

    def cell(self, column: str) -> str:
        header = self.columns.get(column)
        return "" if header is None else self.row.cells[header].strip()

    @property
    def label(self) -> str:
        return without_markup(self.cell("field_label"))

    def note(self, column: str, code: str, detail: str) -> None:
        header = self.columns.get(column, column)
        self.notes.append(Note(self.row.number, header, self.cell(NAME)[:100], code, detail))


def is_redcap(columns: tuple[str, ...]) -> bool:
    """Whether a table with these columns is a dictionary of REDCap's."""
    return {NAME, TYPE} <= set(_known(columns))


def read(sheet: Sheet) -> tuple[DataDictionary, tuple[Note, ...]]:
    """The dictionary of REDCap's table, and a note on everything that is not carried over as it was.

    Raises:
        Invalid: E_DICTIONARY_COLUMN without the columns for names and types; E_DICTIONARY_FILE where nothing, or too
            much, is left.
    """
    columns = _known(sheet.columns)
    missing = [name for name in (NAME, TYPE) if name not in columns]
    if missing:
        problems = [cell_problem(1, name, "This column has to be there.", "E_DICTIONARY_COLUMN") for name in missing]
        raise Invalid("E_DICTIONARY_COLUMN", errors=problems)
    notes = [
        Note(1, name[:80], "", LEFT_OUT, "REDCap has no column of this name.")
        for name in sheet.columns
        if name not in columns.values()
    ]
    variables: list[dict[str, Any]] = []
    taken: set[str] = set()
    for place, row in enumerate(sheet.rows):
        found = _Field(row, columns)
        variables += [item for item in _carried(found, is_first=place == 0) if _fits(item, found, taken)]
        notes += found.notes
    if not 1 <= len(variables) <= MAX_VARIABLES:
        detail = f"1 to {MAX_VARIABLES} variables can be carried over; in this file it would be {len(variables)}."
        raise Invalid("E_DICTIONARY_FILE", detail)
    return parse(variables), tuple(notes)


def _known(columns: tuple[str, ...]) -> dict[str, str]:
    """The header of each of REDCap's columns that is there."""
    found: dict[str, str] = {}
    for header in columns:
        name = " ".join(header.casefold().split())
        name = COLUMNS.get(name, name)
        if name in COLUMNS.values():
            found.setdefault(name, header)
    return found


def _carried(found: _Field, *, is_first: bool) -> Iterator[dict[str, Any]]:
    """The variables of a row: one, one for each box of checkboxes, or none."""
    kind = found.cell(TYPE).casefold()
    if _names_people(found, is_first=is_first):
        return
    reader = _KINDS.get(kind)
    if reader is None:
        found.note(TYPE, LEFT_OUT, f"A field of the type “{_shortened(kind)}” cannot be carried over.")
        return
    required = _is_required(found)
    for item in reader(found):
        yield {"name": found.cell(NAME), "label": found.label, "required": required, **item}
    for column in _UNUSED:
        if words := found.cell(column):
            found.note(column, LEFT_OUT, f"“{_shortened(words)}” has no place in the dictionary.")


def _names_people(found: _Field, *, is_first: bool) -> bool:
    """Whether the field names somebody, so that no study may have it."""
    kind, check = found.cell(TYPE).casefold(), found.cell(CHECK).casefold()
    if found.cell("identifier").casefold() in ("y", "yes", "1"):
        found.note("identifier", IDENTIFIER, "REDCap marks it as an identifier.")
    elif kind == "text" and _PEOPLE.fullmatch(check):
        found.note(CHECK, IDENTIFIER, f"What is checked as “{_shortened(check)}” names a person.")
    elif is_first and kind == "text" and _RECORD.fullmatch(found.cell(NAME).casefold()):
        found.note(NAME, IDENTIFIER, "The first field numbers REDCap's records.")
    else:
        return False
    return True


def _is_required(found: _Field) -> bool:
    """Whether every row has a value: what is asked only of some is not required."""
    required = found.cell("required_field").casefold() in ("y", "yes", "1")
    if logic := found.cell("branching_logic"):
        detail = f"It is asked only where {_shortened(logic)}: taken as not required."
        found.note("branching_logic", CHANGED if required else LEFT_OUT, detail)
    return required and not logic


def _fits(item: dict[str, Any], found: _Field, taken: set[str]) -> bool:
    """Whether a variable stands on its own and beside those before it."""
    try:
        variable = parse([item]).variables[0]
    except Invalid as error:
        problem = error.errors[0]
        column = CHOICES if ".codes" in problem.field else NAME
        found.note(column, LEFT_OUT, f"The variable does not fit: {problem.detail}")
        return False
    if variable.name.lower() in taken:
        found.note(NAME, LEFT_OUT, f"There is a variable “{variable.name}” already.")
        return False
    taken.add(variable.name.lower())
    return True


def _text(found: _Field) -> Iterator[dict[str, Any]]:
    check = found.cell(CHECK).casefold()
    if check == "integer":
        yield {"type": "integer", **_bounds(found)}
    elif _NUMBERS.fullmatch(check):
        if check.endswith("comma_decimal"):
            found.note(CHECK, CHANGED, "Nodes read numbers with a decimal point, not a comma.")
        yield {"type": "number", **_bounds(found)}
    elif check.startswith(("date_", "datetime_")):
        _leave_bounds(found, "dates have no range in the dictionary.")
        if check.startswith("datetime_"):
            found.note(CHECK, CHANGED, "A date; nodes take a time of day with it, and check the date alone.")
        yield {"type": "date"}
    else:
        if check:
            found.note(CHECK, LEFT_OUT, f"Taken as text, without the check “{_shortened(check)}”.")
        _leave_bounds(found, "texts have no range in the dictionary.")
        yield {"type": "text"}


def _bounds(found: _Field) -> dict[str, float]:
    """The range of numbers; a bound that is none, and a range that ends before it begins, are left out."""
    bounds = {}
    for name, column in (("min", LOW), ("max", HIGH)):
        words = found.cell(column)
        value = _number(words)
        if value is not None:
            bounds[name] = value
        elif words:
            found.note(column, LEFT_OUT, f"“{_shortened(words)}” is no number.")
    if len(bounds) == 2 and bounds["min"] > bounds["max"]:
        found.note(LOW, LEFT_OUT, "The range ends before it begins.")
        return {}
    return bounds


def _number(words: str) -> float | None:
    try:
        value = float(words.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _leave_bounds(found: _Field, why: str) -> None:
    for column in (LOW, HIGH):
        if words := found.cell(column):
            found.note(column, LEFT_OUT, f"“{_shortened(words)}”: {why}")


def _words(found: _Field) -> Iterator[dict[str, Any]]:
    yield {"type": "text"}


def _calculated(found: _Field) -> Iterator[dict[str, Any]]:
    found.note(CHOICES, LEFT_OUT, "Sites give the number itself; how REDCap calculates it has no place here.")
    yield {"type": "number"}


def _choice(found: _Field) -> Iterator[dict[str, Any]]:
    codes = [
        {"value": int(value) if _WHOLE.fullmatch(value) else value, "label": label} for value, label in _options(found)
    ]
    if codes:
        yield {"type": "categorical", "codes": codes}
    else:
        found.note(CHOICES, LEFT_OUT, "The field has no choices.")


def _checkboxes(found: _Field) -> Iterator[dict[str, Any]]:
    """One true or false variable a box, named as REDCap names the columns of its exports."""
    options = _options(found)
    if not options:
        found.note(CHOICES, LEFT_OUT, "The field has no choices.")
        return
    found.note(TYPE, CHANGED, f"Checkboxes become {len(options)} variables that are true or false, one a box.")
    for value, label in options:
        box = re.sub(r"[^a-z0-9_]", "_", value.lower())
        said = ": ".join(filter(None, (found.label, label)))
        yield {"name": f"{found.cell(NAME)}___{box}", "label": said, "type": "boolean"}


def _options(found: _Field) -> list[tuple[str, str]]:
    """Codes and labels of `1, Yes | 0, No`."""
    items = (item.partition(",") for item in found.cell(CHOICES).split("|") if item.strip())
    return [(plain_text(code.strip()), without_markup(label)) for code, _, label in items if code.strip()]


def _yes_no(found: _Field) -> Iterator[dict[str, Any]]:
    words = ("Yes", "No") if found.cell(TYPE).casefold() == "yesno" else ("True", "False")
    yield {"type": "boolean", "codes": [{"value": 1, "label": words[0]}, {"value": 0, "label": words[1]}]}


def _slider(found: _Field) -> Iterator[dict[str, Any]]:
    if labels := found.cell(CHOICES):
        found.note(CHOICES, LEFT_OUT, f"“{_shortened(labels)}”: numbers have no labels in the dictionary.")
    yield {"type": "integer", "min": 0.0, "max": 100.0, **_bounds(found)}


_KINDS: Mapping[str, Callable[[_Field], Iterator[dict[str, Any]]]] = MappingProxyType(
    {
        "text": _text,
        "notes": _words,
        "calc": _calculated,
        "dropdown": _choice,
        "radio": _choice,
        "checkbox": _checkboxes,
        "yesno": _yes_no,
        "truefalse": _yes_no,
        "slider": _slider,
    }
)


def _shortened(words: str) -> str:
    plain = " ".join(plain_text(words).split())
    return plain if len(plain) <= _SAID else f"{plain[: _SAID - 1]}…"
