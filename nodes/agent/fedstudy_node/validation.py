"""Whether a dataset fits a study's data dictionary, in findings that a data steward can act on.

A finding names the variable, what is wrong and a band of how many rows; that is all the portal is told. Examples of
the offending values are for the hospital's own console and never leave it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
_LEAVE_OUT = "This column identifies patients, and no script may see it: leave it out of the file."

# Findings that do not keep a dataset out of a study.
_NOTES = {"missing_values", "implausible", "unknown_column", "duplicate_rows", "no_variable"}


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
            detail = "The study needs this variable; add the column."
            findings.append(Finding(variable.name, "missing_variable", 0, detail))
        elif not variable.identifier:
            findings.append(Finding(variable.name, "no_variable", 0, "This optional variable is not in the file."))
    findings.sort(key=lambda finding: not finding.blocks)
    return Report(len(dictionary.variables), len(table), tuple(findings))


def _table_findings(table: "pandas.DataFrame", dictionary: DataDictionary) -> Iterator[Finding]:
    """What concerns the table as a whole: rows, columns that nobody asked for, identifiers."""
    if table.empty:
        yield Finding("", "no_rows", 0, "The file has no rows.")
    duplicates = int(table.duplicated().sum())
    if duplicates:
        detail = "Some rows are exact copies of others; a patient may count twice."
        yield Finding("", "duplicate_rows", duplicates, detail)
    declared = {variable.name for variable in dictionary.variables}
    for column in map(str, table.columns):
        if column in declared:
            continue
        if looks_like_identifier(column):
            yield Finding(column, "identifier_column", int(table[column].notna().sum()), _LEAVE_OUT)
        elif column.endswith((".1", ".2")) and column.rsplit(".", 1)[0] in declared:
            yield Finding(column.rsplit(".", 1)[0], "duplicate_column", len(table), "The file has this column twice.")
        else:
            yield Finding(column, "unknown_column", len(table), "The study did not ask for this column.")


def looks_like_identifier(column: str) -> bool:
    """Whether a column's name says that it names patients."""
    plain = column.strip().lower().replace(" ", "_").replace("-", "_")
    return plain in _IDENTIFIER_WORDS or plain.endswith("_name")


def _variable_findings(column: "pandas.Series[Any]", variable: Variable) -> Iterator[Finding]:
    """Check the values of one variable; values that mean "missing" are noted and not checked further."""
    if variable.identifier:
        yield Finding(variable.name, "identifier_column", int(column.notna().sum()), _LEAVE_OUT)
        return
    present = column.dropna()
    implausible = _members(variable.implausible)
    hidden = present[present.map(lambda value: written(value) in implausible)]
    if len(hidden):
        detail = "Values that mean “missing” are written as numbers; they are treated as missing."
        yield Finding(variable.name, "implausible", len(hidden), detail, _examples(hidden))
        present = present.drop(hidden.index)
    missing = len(column) - len(present)
    if missing and variable.required:
        code = "no_values" if not len(present) else "missing_values"
        yield Finding(variable.name, code, missing, "Some rows have no value here.")
    yield from _type_findings(present, variable)


def _type_findings(present: "pandas.Series[Any]", variable: Variable) -> Iterator[Finding]:
    """Check type, coding and range of the values that are there."""
    if variable.type == "categorical":
        known = _members(code.value for code in variable.codes)
        wrong = present[present.map(lambda value: written(value) not in known)]
        if len(wrong):
            detail = "Values that the coding does not list."
            yield Finding(variable.name, "unknown_code", len(wrong), detail, _examples(wrong))
        return
    fits, kind = _TYPES[variable.type]
    wrong = present[~present.map(fits).astype(bool)]
    if len(wrong):
        yield Finding(variable.name, "wrong_type", len(wrong), f"Values that are not {kind}.", _examples(wrong))
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


_TYPES: dict[str, tuple[Callable[[object], bool], str]] = {
    "integer": (_is_integer, "whole numbers"),
    "number": (_is_number, "numbers"),
    "boolean": (_is_true_or_false, "true or false (0/1, yes/no)"),
    "date": (_is_date, "dates written as YYYY-MM-DD"),
    "text": (lambda value: True, "text"),
}
