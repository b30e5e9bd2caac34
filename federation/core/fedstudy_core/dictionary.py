"""The data dictionary: which variables a study's datasets have, and what their values mean."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from fedstudy_core import canonical
from fedstudy_core.errors import FieldProblem, Invalid, Refusal

Kind = Literal["integer", "number", "categorical", "boolean", "date", "text"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
MAX_VARIABLES = 2000
MAX_CODES = 1000


class Code(BaseModel):
    """One value of a categorical variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: StrictStr | StrictInt
    label: str = ""


class Variable(BaseModel):
    """One column of a dataset.

    Attributes:
        codes: the values of a categorical variable.
        min, max: bounds of plausible values, in `unit`.
        implausible: values that are there for “not measured”, such as a cholesterol of 0.
        identifier: names a patient; a script never sees it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    label: str = ""
    type: Kind
    unit: str = ""
    codes: Annotated[tuple[Code, ...], Field(max_length=MAX_CODES)] = ()
    min: Number | None = None
    max: Number | None = None
    required: StrictBool = True
    implausible: tuple[StrictStr | StrictInt | Number, ...] = ()
    identifier: StrictBool = False


class DataDictionary(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    variables: tuple[Variable, ...]

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical form; numbers with a fraction count as their decimal text."""
        return canonical.digest(canonical.dumps(_exact(self.model_dump(mode="json"))))


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value


def parse(value: object) -> DataDictionary:
    """A dictionary from plain JSON values: a list of variables, or an object with `variables`.

    Raises:
        Invalid: E_DICTIONARY with a problem for each field that does not fit.
    """
    variables = value.get("variables") if isinstance(value, dict) else value
    if not isinstance(variables, list) or not 1 <= len(variables) <= MAX_VARIABLES:
        raise Invalid("E_DICTIONARY", f"A dictionary is a list of 1 to {MAX_VARIABLES} variables.")
    try:
        dictionary = DataDictionary.model_validate({"variables": _composed(variables)})
    except ValidationError as error:
        problems = [
            FieldProblem(".".join(map(str, item["loc"])), "E_DICTIONARY", f"{item['msg']}.") for item in error.errors()
        ]
        raise Invalid("E_DICTIONARY", "Some variables are not described well.", errors=problems) from error
    if problems := _problems(dictionary):
        raise Invalid("E_DICTIONARY", "Some variables contradict themselves or each other.", errors=problems)
    return dictionary


def _composed(value: Any) -> Any:
    """The value with its texts in Unicode normal form C: some systems write é as two characters."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {name: _composed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_composed(item) for item in value]
    return value


def _problems(dictionary: DataDictionary) -> list[FieldProblem]:
    found: list[FieldProblem] = []
    seen: dict[str, int] = {}
    for position, variable in enumerate(dictionary.variables):
        where = f"variables.{position}"
        first = seen.setdefault(variable.name.lower(), position)
        if first != position:
            detail = f"“{variable.name}” is described twice (first at variables.{first})."
            found.append(FieldProblem(f"{where}.name", "E_DICTIONARY", detail))
        found.extend(FieldProblem(f"{where}.{field}", "E_DICTIONARY", detail) for field, detail in _check(variable))
    return found


def _check(variable: Variable) -> list[tuple[str, str]]:
    problems = []
    try:
        canonical.dumps(_exact(variable.model_dump(mode="json")))
    except Refusal as refusal:
        problems.append(("label", f"“{variable.name}” cannot be written down: {refusal.detail}"))
    if variable.min is not None and variable.max is not None and variable.min > variable.max:
        problems.append(("min", f"The range of “{variable.name}” ends before it begins."))
    if (variable.min is not None or variable.max is not None) and variable.type not in ("integer", "number"):
        problems.append(("type", f"“{variable.name}” has a range, but is not a number."))
    if variable.type == "categorical" and not variable.codes:
        problems.append(("codes", f"“{variable.name}” is categorical and needs its codes."))
    if variable.codes and variable.type not in ("categorical", "integer", "boolean"):
        problems.append(("codes", f"“{variable.name}” has codes, but is of type {variable.type}."))
    values = [str(code.value) for code in variable.codes]
    if len(set(values)) != len(values):
        problems.append(("codes", f"A code of “{variable.name}” is given twice."))
    return problems
