"""Whether a dataset fits a study's data dictionary, in findings that a data steward can act on.

A finding names the variable, what is wrong and a band of how many rows; that is all the portal is told. Examples of
the offending values are for the hospital's own console and never leave it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fedstudy_core.bands import band
from fedstudy_core.dictionary import DataDictionary, Variable

if TYPE_CHECKING:
    import pandas

_IDENTIFIER_WORDS = (
    "name", "surname", "lastname", "firstname", "mrn", "ssn", "nhs", "insurance", "passport", "email", "e_mail",
    "phone", "telephone", "address", "street", "postcode", "zip", "zipcode", "dob", "birthdate", "birth_date",
    "date_of_birth", "patient_id", "patientid", "pat_id", "subject_id", "hospital_number", "record_number",
)  # fmt: skip
_TRUE_FALSE = {"0", "1", "true", "false", "yes", "no"}
_EXAMPLES = 3

# Findings that do not keep a dataset out of a study.
_NOTES = {"missing_values", "implausible", "unknown_column", "duplicate_rows", "no_variable"}
# What they say, by code; of values of another type by that which is asked for. The portal's pages translate it.
SENTENCES = MappingProxyType(
    {
        "missing_variable": "The study needs this variable; add the column.",
        "no_variable": "This optional variable is not in the file.",
        "no_rows": "The file has no rows.",
        "duplicate_rows": "Some rows are exact copies of others; a patient may count twice.",
        "identifier_column": "This column identifies patients, and no script may see it: leave it out of the file.",
        "duplicate_column": "The file has this column twice.",
        "unknown_column": "The study did not ask for this column.",
        "implausible": "Values that mean “missing” are written as numbers; they are treated as missing.",
        "no_values": "Some rows have no value here.",
        "missing_values": "Some rows have no value here.",
        "unknown_code": "Values that the coding does not list.",
        "integer": "Values that are not whole numbers.",
        "number": "Values that are not numbers.",
        "boolean": "Values that are not true or false (0/1, yes/no).",
        "date": "Values that are not dates written as YYYY-MM-DD.",
    }
)


@dataclass(frozen=True)
class Finding:
    """One thing about one variable. `examples` stays on the console."""

    variable: str
    code: str
    count: int
    detail: str
    examples: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether the dataset cannot be used before this is put right."""
        return self.code not in _NOTES

    @property
    def count_band(self) -> str:
        """In how many rows, as a band."""
        return band(self.count)


@dataclass(frozen=True)
class Report:
    """What the check of a dataset found."""

    variables: int
    rows: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether the dataset fits."""
        return not any(finding.blocks for finding in self.findings)


def validate(table: "pandas.DataFrame", dictionary: DataDictionary) -> Report:
    """Check a table against a data dictionary."""
    findings = [*_table_findings(table, dictionary)]
    for variable in dictionary.variables:
        if variable.name in table.columns:
            findings += _variable_findings(table[variable.name], variable)
        elif variable.required and not variable.identifier:
            findings.append(_finding(variable.name, "missing_variable", 0))
        elif not variable.identifier:
            findings.append(_finding(variable.name, "no_variable", 0))
    findings.sort(key=lambda finding: not finding.blocks)
    return Report(len(dictionary.variables), len(table), tuple(findings))


def _finding(variable: str, code: str, count: int, examples: tuple[str, ...] = ()) -> Finding:
    return Finding(variable, code, count, SENTENCES[code], examples)


def _table_findings(table: "pandas.DataFrame", dictionary: DataDictionary) -> Iterator[Finding]:
    """What concerns the table as a whole: rows, columns that nobody asked for, identifiers."""
    if table.empty:
        yield _finding("", "no_rows", 0)
    duplicates = int(table.duplicated().sum())
    if duplicates:
        yield _finding("", "duplicate_rows", duplicates)
    declared = {variable.name for variable in dictionary.variables}
    for column in map(str, table.columns):
        if column in declared:
            continue
        if looks_like_identifier(column):
            yield _finding(column, "identifier_column", int(table[column].notna().sum()))
        elif column.endswith((".1", ".2")) and column.rsplit(".", 1)[0] in declared:
            yield _finding(column.rsplit(".", 1)[0], "duplicate_column", len(table))
        else:
            yield _finding(column, "unknown_column", len(table))


def looks_like_identifier(column: str) -> bool:
    """Whether a column's name says that it names patients."""
    plain = column.strip().lower().replace(" ", "_").replace("-", "_")
    return plain in _IDENTIFIER_WORDS or plain.endswith("_name")


def _variable_findings(column: "pandas.Series[Any]", variable: Variable) -> Iterator[Finding]:
    """Check the values of one variable; values that mean "missing" are noted and not checked further."""
    if variable.identifier:
        yield _finding(variable.name, "identifier_column", int(column.notna().sum()))
        return
    present = column.dropna()
    implausible = _members(variable.implausible)
    hidden = present[present.map(lambda value: written(value) in implausible)]
    if len(hidden):
        yield _finding(variable.name, "implausible", len(hidden), _examples(hidden))
        present = present.drop(hidden.index)
    missing = len(column) - len(present)
    if missing and variable.required:
        code = "no_values" if not len(present) else "missing_values"
        yield _finding(variable.name, code, missing)
    yield from _type_findings(present, variable)


def _type_findings(present: "pandas.Series[Any]", variable: Variable) -> Iterator[Finding]:
    """Check type, coding and range of the values that are there."""
    if variable.type == "categorical":
        known = _members(code.value for code in variable.codes)
        wrong = present[present.map(lambda value: written(value) not in known)]
        if len(wrong):
            yield _finding(variable.name, "unknown_code", len(wrong), _examples(wrong))
        return
    wrong = present[~present.map(_TYPES[variable.type]).astype(bool)]
    if len(wrong):
        yield Finding(variable.name, "wrong_type", len(wrong), SENTENCES[variable.type], _examples(wrong))
    if variable.type in ("integer", "number"):
        yield from _range_findings(present.drop(wrong.index), variable)


def _range_findings(present: "pandas.Series[Any]", variable: Variable) -> Iterator[Finding]:
    import pandas

    numbers = pandas.to_numeric(present)
    outside = pandas.Series(data=False, index=numbers.index)
    if variable.min is not None:
        outside |= numbers < float(variable.min)
    if variable.max is not None:
        outside |= numbers > float(variable.max)
    wrong = present[outside]
    if len(wrong):
        unit = f" {variable.unit}" if variable.unit else ""
        detail = f"Values outside {_bound(variable.min)} to {_bound(variable.max)}{unit}."
        yield Finding(variable.name, "out_of_range", len(wrong), detail, _examples(wrong))


def _bound(value: object) -> str:
    return "…" if value is None else written(value)


def written(value: object) -> str:
    """Write a value so that 1, 1.0 and "1" are the same."""
    if isinstance(value, bool):
        return "1" if value else "0"
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value).strip()
    return str(int(number)) if number.is_integer() else repr(number)


def _members(values: Iterable[object]) -> set[str]:
    return {written(value) for value in values}


def _examples(values: "pandas.Series[Any]") -> tuple[str, ...]:
    return tuple(str(value)[:40] for value in values.unique()[:_EXAMPLES])


def _is_number(value: object) -> bool:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return number - number == 0  # neither infinite nor not-a-number


def _is_integer(value: object) -> bool:
    return _is_number(value) and float(value).is_integer()  # type: ignore[arg-type]


def _is_true_or_false(value: object) -> bool:
    return written(value).lower() in _TRUE_FALSE


def _is_date(value: object) -> bool:
    import pandas

    if isinstance(value, int | float):
        return False
    return not pandas.isna(pandas.to_datetime(str(value), errors="coerce", format="ISO8601"))


_TYPES: dict[str, Callable[[object], bool]] = {
    "integer": _is_integer,
    "number": _is_number,
    "boolean": _is_true_or_false,
    "date": _is_date,
    "text": lambda value: True,
}
