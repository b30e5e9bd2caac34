"""Data dictionaries in files: our own table loses nothing, and REDCap's tells what it leaves out."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core import dictionary_csv
from fedstudy_core.codes import CODES
from fedstudy_core.dictionary import MAX_VARIABLES, DataDictionary, parse
from fedstudy_core.dictionary_files import read_file
from fedstudy_core.errors import Invalid
from fedstudy_core.reading import Note, Reading
from fedstudy_core.sheets import MAX_BYTES, MAX_CELL, MAX_ROWS

REDCAP = (
    "Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
    "Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number",
    "Text Validation Min", "Text Validation Max", "Identifier?", "Branching Logic (Show field only if...)",
    "Required Field?", "Custom Alignment", "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?",
    "Field Annotation",
)  # fmt: skip
NAMES = ("field_name", "form", "section", "type", "label", "choices", "note", "check", "low", "high", "identifier",
         "logic", "required", "alignment", "number", "matrix", "ranking", "annotation")  # fmt: skip
PLAIN = st.characters(exclude_categories=["Cc", "Cs", "Cf", "Cn"], include_characters="\n\t|=\"'\\,;@+-")
WORDS = st.text(PLAIN, max_size=12) | st.sampled_from(
    ["=1+1", "'=x", "-5", "01", "1", "a | b", ' "', "n/a", "1e5", "-0"]
)
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def variables(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(["integer", "number", "categorical", "boolean", "date", "text"]))
    made: dict[str, Any] = {
        "name": name,
        "type": kind,
        "label": draw(WORDS),
        "unit": draw(WORDS),
        "required": draw(st.booleans()),
        "identifier": draw(st.booleans()),
        "implausible": draw(st.lists(WORDS | WHOLE | FLOATS, max_size=3)),
    }
    if kind in ("integer", "number"):
        low, high = sorted([draw(FLOATS), draw(FLOATS)])
        made |= {"min": draw(st.sampled_from([low, None])), "max": draw(st.sampled_from([high, None]))}
    if kind == "categorical":
        values = draw(st.lists(WORDS | WHOLE, min_size=1, max_size=4, unique_by=str))
        made["codes"] = [{"value": value, "label": draw(WORDS)} for value in values]
    return made


@st.composite
def dictionaries(draw: st.DrawFn) -> DataDictionary:
    names = [f"v{number}" for number in range(draw(st.integers(1, 4)))]
    try:
        return parse([draw(variables(name)) for name in names])
    except Invalid:  # two codes that are the same in Unicode's form C
        return parse([{"name": "v", "type": "text"}])


@given(dictionaries())
def test_a_dictionary_comes_back_from_its_table(dictionary: DataDictionary) -> None:
    again = read_file(dictionary_csv.write(dictionary).encode())
    assert (again.form, again.dictionary, again.notes) == ("csv", dictionary, ())
    assert again.dictionary.sha256 == dictionary.sha256


@given(dictionaries(), st.sampled_from([";", "\t", ","]))
def test_spreadsheets_of_other_countries_are_read(dictionary: DataDictionary, mark: str) -> None:
    rows = csv.reader(io.StringIO(dictionary_csv.write(dictionary), newline=""))
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=mark).writerows(rows)
    assert read_file(b"\xef\xbb\xbf" + text.getvalue().encode()).dictionary == dictionary


@given(dictionaries())
def test_no_cell_of_a_table_is_a_formula(dictionary: DataDictionary) -> None:
    for row in csv.reader(io.StringIO(dictionary_csv.write(dictionary), newline="")):
        for cell in row:
            assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r") or float(cell) is not None


def read_or_refuse(content: bytes) -> Reading | None:
    """What everything comes to: a dictionary, or a refusal with codes that are known."""
    try:
        return read_file(content)
    except Invalid as error:
        assert {error.code, *(problem.code for problem in error.errors)} <= set(CODES)
        return None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_the_bytes_are_it_is_a_dictionary_or_a_refusal(content: bytes) -> None:
    read_or_refuse(content)


CELLS = st.text(PLAIN, max_size=30) | st.sampled_from(
    ["0 = no | 1 = yes", '"a" = "b" | c', '"', '"\\ud800"', "1 |", "|", "=", "9" * 5000, "1e999", "yes", "integer"]
)  # fmt: skip


@given(st.lists(st.lists(CELLS, min_size=10, max_size=10), min_size=1, max_size=4))
def test_any_cells_of_our_table_are_read_or_named(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([dictionary_csv.COLUMNS, *rows])
    read_or_refuse(text.getvalue().encode())


def table(*rows: str, header: str = "name,type,codes,min,required,missing") -> bytes:
    return "\n".join([header, *rows]).encode()


def refusal(content: bytes) -> Invalid:
    with pytest.raises(Invalid) as refused:
        read_file(content)
    return refused.value


@pytest.mark.parametrize(
    ("rows", "field", "code"),
    [
        (["age,integer,,18,maybe,"], "row 2, required", "E_DICTIONARY_CELL"),
        (["age,integer,,18,yes,", "sex,categorical,1 = | = 2,,,"], "row 3, codes", "E_DICTIONARY_CELL"),
        (['age,integer,,"1,8",,'], "row 2, min", "E_DICTIONARY_CELL"),
        (["age,integer,,,,0 = unknown"], "row 2, missing", "E_DICTIONARY_CELL"),
        (["age,number,,,,1e999"], "row 2, missing", "E_DICTIONARY_CELL"),
        (["age,whole,,,,"], "row 2, type", "E_DICTIONARY_CELL"),
        (["age,integer,,,,", "", "AGE,integer,,,,"], "row 4, name", "E_DICTIONARY_CELL"),
        (["sex,categorical,,,,"], "row 2, codes", "E_DICTIONARY_CELL"),
        (["age,integer,,,,,more"], "row 2, the end", "E_DICTIONARY_CELL"),
        ([f"age,integer,,,,{'x' * (MAX_CELL + 1)}"], "row 2, missing", "E_DICTIONARY_CELL"),
    ],
)
def test_a_cell_that_does_not_fit_is_named_by_row_and_column(rows: list[str], field: str, code: str) -> None:
    error = refusal(table(*rows))
    assert (error.code, error.errors[0].field, error.errors[0].code) == ("E_DICTIONARY_FILE", field, code)


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("name,kind", "row 1, kind"),
        ("name", "row 1, type"),
        ("name,type,Type", "row 1, Type"),
        ("name,,type", "row 1, column 2"),
    ],
)
def test_columns_are_held_to_the_known_ones(header: str, field: str) -> None:
    error = refusal(table("age", header=header))
    assert error.code == "E_DICTIONARY_COLUMN"
    assert field in [problem.field for problem in error.errors]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        table(),
        b"name,type\n\xff,integer",
        b'name,type\n"age,integer',
        b"{",
        b"[" * 100_000,
        b'{"variables": [' + b"[" * 900 + b"]" * 900 + b"]}",
        b'[{"name": "a", "type": "number", "min": NaN}]',
        b"x" * (MAX_BYTES + 1),
        b"[" + b" " * MAX_BYTES + b"]",
        table(*["a,text"] * (MAX_ROWS + 1)),
        table(*[f"v{number},text" for number in range(MAX_VARIABLES + 1)]),
    ],
    ids=range(13),
)
def test_what_is_no_dictionary_or_too_large_is_refused(content: bytes) -> None:
    assert refusal(content).code == "E_DICTIONARY_FILE"


def test_json_is_read_too() -> None:
    read = read_file(json.dumps({"variables": [{"name": "age", "type": "integer"}]}).encode())
    assert (read.form, read.dictionary.variables[0].name) == ("json", "age")
    assert refusal(b"[]").code == "E_DICTIONARY"


def redcap(*rows: dict[str, str], header: tuple[str, ...] = REDCAP) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([row.get(name, "") for name in NAMES] for row in rows)
    return text.getvalue().encode()


def field(name: str, kind: str, **more: str) -> dict[str, str]:
    return {"field_name": name, "form": "baseline", "type": kind, "label": name.title(), **more}


def carried(*rows: dict[str, str]) -> tuple[list[dict[str, Any]], tuple[Note, ...]]:
    """The variables of REDCap's rows without what is as by default, and the notes."""
    reading = read_file(redcap(*rows))
    assert reading.form == "redcap"
    shown = reading.dictionary.model_dump(mode="json", exclude_defaults=True)["variables"]
    return shown, reading.notes


def test_redcap_s_fields_become_variables() -> None:
    found, notes = carried(
        field("age", "text", check="integer", low="18", high="110", required="y"),
        field("weight", "text", check="number_1dp", low="2,5", required="y"),
        field("visit", "text", check="date_dmy", required="y"),
        field("sex", "radio", choices="1, Female | 2, Male | U, Not said, or unknown", required="y"),
        field("drugs", "checkbox", choices="1, Aspirin | B-2, <b>Beta</b> &amp; blocker", required="y"),
        field("smokes", "yesno", required="y"),
        field("pain", "slider", choices="none | some | worst", required="y"),
        field("story", "notes"),
    )
    assert found == [
        {"name": "age", "label": "Age", "type": "integer", "min": 18.0, "max": 110.0},
        {"name": "weight", "label": "Weight", "type": "number", "min": 2.5},
        {"name": "visit", "label": "Visit", "type": "date"},
        {"name": "sex", "label": "Sex", "type": "categorical", "codes": [
            {"value": 1, "label": "Female"}, {"value": 2, "label": "Male"},
            {"value": "U", "label": "Not said, or unknown"}]},
        {"name": "drugs___1", "label": "Drugs: Aspirin", "type": "boolean"},
        {"name": "drugs___b_2", "label": "Drugs: Beta & blocker", "type": "boolean"},
        {"name": "smokes", "label": "Smokes", "type": "boolean",
         "codes": [{"value": 1, "label": "Yes"}, {"value": 0, "label": "No"}]},
        {"name": "pain", "label": "Pain", "type": "integer", "min": 0.0, "max": 100.0},
        {"name": "story", "label": "Story", "type": "text", "required": False},
    ]  # fmt: skip
    assert [(note.row, note.column, note.code) for note in notes] == [
        (6, "Field Type", "E_DICTIONARY_CHANGED"),
        (8, "Choices, Calculations, OR Slider Labels", "E_DICTIONARY_LEFT_OUT"),
    ]


def test_what_names_patients_is_left_out_with_a_note() -> None:
    found, notes = carried(
        field("record_id", "text"),
        field("surname", "text", identifier="y"),
        field("mail", "text", check="email"),
        field("age", "text", check="integer"),
    )
    assert [item["name"] for item in found] == ["age"]
    assert [(note.row, note.variable, note.code) for note in notes] == [
        (2, "record_id", "E_DICTIONARY_IDENTIFIER"),
        (3, "surname", "E_DICTIONARY_IDENTIFIER"),
        (4, "mail", "E_DICTIONARY_IDENTIFIER"),
    ]


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        (field("x", "descriptive"), "Field Type", "descriptive"),
        (field("x", "file"), "Field Type", "file"),
        (field("x", "radio", choices=""), "Choices, Calculations, OR Slider Labels", "no choices"),
        (field("x", "radio", choices="1, a | 1, b"), "Choices, Calculations, OR Slider Labels", "given twice"),
        (field("AGE", "text"), "Variable / Field Name", "already"),
        (field("9x", "text"), "Variable / Field Name", "does not fit"),
        (field("x" * 65, "text"), "Variable / Field Name", "does not fit"),
        (field("x", "text", check="time"), "Text Validation Type OR Show Slider Number", "without the check"),
        (field("x", "text", check="integer", low="today"), "Text Validation Min", "no number"),
        (field("x", "text", check="integer", low="9", high="1"), "Text Validation Min", "before it begins"),
        (field("x", "text", check="date_ymd", high="2020-01-01"), "Text Validation Max", "dates have no range"),
        (field("x", "calc", choices="[a]+[b]"), "Choices, Calculations, OR Slider Labels", "calculates"),
        (field("x", "text", logic="[sex] = '1'", required="y"), "Branching Logic (Show field only if...)", "[sex]"),
        (field("x", "text", note="in kg"), "Field Note", "in kg"),
        (field("x", "text", annotation="@HIDDEN"), "Field Annotation", "@HIDDEN"),
        (field("x", "text", section="Baseline"), "Section Header", "Baseline"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_over_is_told_by_row_and_column(row: dict[str, str], column: str, words: str) -> None:
    _, notes = carried(field("age", "text", check="integer"), row)
    assert [(note.row, note.column) for note in notes] == [(3, column)]
    assert words in notes[0].detail


def test_what_is_asked_only_of_some_is_not_required() -> None:
    (age, weight), _ = carried(
        field("age", "text", check="integer", required="y"),
        field("weight", "text", check="integer", required="y", logic="[age] > 20"),
    )
    assert ("required" in age, weight["required"]) == (False, False)


def test_redcap_s_api_calls_the_columns_by_other_names() -> None:
    header = (
        "field_name", "form_name", "section_header", "field_type", "field_label", "select_choices_or_calculations",
        "field_note", "text_validation_type_or_show_slider_number", "text_validation_min", "text_validation_max",
        "identifier", "branching_logic", "required_field", "custom_alignment", "question_number", "matrix_group_name",
        "matrix_ranking", "my_column",
    )  # fmt: skip
    reading = read_file(redcap(field("sex", "dropdown", choices="1, F | 2, M", annotation="x"), header=header))
    assert reading.dictionary.variables[0].type == "categorical"
    assert [(note.row, note.column, note.variable) for note in reading.notes] == [(1, "my_column", "")]


def test_a_redcap_file_of_which_nothing_is_left_is_refused() -> None:
    assert refusal(redcap(field("a", "descriptive"))).code == "E_DICTIONARY_FILE"
    boxes = " | ".join(f"{number}, x" for number in range(MAX_VARIABLES + 1))
    assert refusal(redcap(field("a", "checkbox", choices=boxes))).code == "E_DICTIONARY_FILE"


KINDS = st.sampled_from(
    ["text", "notes", "calc", "dropdown", "radio", "checkbox", "yesno", "slider", "file", "sql", "?"]
)
CHECKS = st.sampled_from(
    ["", "integer", "number", "number_2dp_comma_decimal", "date_mdy", "datetime_ymd", "email", "odd"]
)
FIELDS = st.fixed_dictionaries(
    {
        "field_name": st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True) | CELLS,
        "type": KINDS,
        "label": CELLS,
        "choices": CELLS | st.just("1, a | 2, b"),
        "check": CHECKS,
        "low": CELLS | st.just("3"),
        "high": CELLS | st.just("7"),
        "identifier": st.sampled_from(["", "y"]),
        "logic": CELLS,
        "required": st.sampled_from(["", "y"]),
    }
)


@given(st.lists(FIELDS, min_size=1, max_size=5))
def test_any_rows_of_redcap_s_are_carried_over_or_noted(rows: list[dict[str, str]]) -> None:
    reading = read_or_refuse(redcap(*rows))
    if reading is None:
        return
    assert {note.code for note in reading.notes} <= set(CODES)
    names = {variable.name.partition("___")[0] for variable in reading.dictionary.variables}
    noted = {note.row for note in reading.notes}
    for number, row in enumerate(rows, start=2):
        if any(row.values()):
            assert row["field_name"].strip() in names or number in noted
    assert read_file(dictionary_csv.write(reading.dictionary).encode()).dictionary == reading.dictionary
