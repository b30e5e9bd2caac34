"""The parameters of a script or a strategy: what a run's configuration may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, StrictFloat, ValidationError

from fedstudy_core.errors import FieldProblem, Invalid

Value = int | float | str | bool
Kind = Literal["int", "float", "str", "bool"]
_LARGEST = 2**63 - 1
_KINDS: dict[type, Kind] = {bool: "bool", int: "int", float: "float", str: "str"}


class Parameter(BaseModel):
    """One parameter. `min` and `max` hold for numbers, `choices` for any type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: Kind
    default: Value
    min: StrictFloat | None = None
    max: StrictFloat | None = None
    choices: tuple[Value, ...] | None = None
    description: str = ""
    unit: str = ""


class Allowed(BaseModel):
    """The values that an approval allows for one parameter; numbers are decimal strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: Kind
    min: str | None = None
    max: str | None = None
    choices: list[str] | None = None

    def permits(self, value: object) -> bool:
        """Whether the value has the type and lies within; a whole number serves as a fraction."""
        kind = _KINDS.get(type(value))
        if kind != self.type and (kind, self.type) != ("int", "float"):
            return False
        if isinstance(value, str | bool):
            return self.choices is None or as_text(value) in self.choices
        if isinstance(value, int) and abs(value) > _LARGEST:
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        try:
            return self._holds(Decimal(as_text(value)))
        except InvalidOperation:
            return False

    def _holds(self, number: Decimal) -> bool:
        if self.choices is not None and number not in map(Decimal, self.choices):
            return False
        low = self.min is None or Decimal(self.min) <= number
        return low and (self.max is None or number <= Decimal(self.max))


def as_text(value: object) -> str:
    """A value as statements write it: booleans in lower case, numbers in their shortest form."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def from_project(project: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The parameters of a Flower app's pyproject.

    Defaults come from `[tool.flwr.app.config]`; types, ranges and words from `[tool.fedstudy.parameters.<name>]`.

    Raises:
        Invalid: E_BUNDLE_DECLARATION.
    """
    defaults = _flatten(_table(project, "tool", "flwr", "app", "config"))
    declared = _table(project, "tool", "fedstudy", "parameters")
    unknown = set(declared) - set(defaults)
    if unknown:
        raise Invalid("E_BUNDLE_DECLARATION", f"No default is given for {', '.join(sorted(unknown))}.")
    return tuple(_parameter(name, default, declared.get(name, {})) for name, default in defaults.items())


def _table(values: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A table within tables, empty where there is none."""
    for name in path:
        values = values.get(name, {})
        if not isinstance(values, Mapping):
            raise Invalid("E_BUNDLE_DECLARATION", f"“{name}” is not a table.")
    return values


def _parameter(name: str, default: Any, declared: Any) -> Parameter:
    """A parameter as declared; text that nothing is said of stays as it is, for nobody can know what it does."""
    problem = Invalid("E_BUNDLE_DECLARATION", f"The parameter “{name}” is not declared well.")
    if not isinstance(declared, Mapping):
        raise problem
    described = {"type": _KINDS.get(type(default)), **declared}
    if described["type"] == "str" and "choices" not in described:
        described["choices"] = [default]
    try:
        if described["type"] == "float" and type(default) is int:
            default = float(default)
        parameter = Parameter(name=name, default=default, **described)
    except (ValidationError, TypeError, OverflowError) as error:
        raise problem from error
    ranged = parameter.min is not None or parameter.max is not None
    if (ranged and parameter.type in ("str", "bool")) or not allowance(parameter).permits(parameter.default):
        raise problem
    return parameter


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def validate_config(parameters: Sequence[Parameter], config: Mapping[str, Any]) -> dict[str, Value]:
    """The whole configuration, defaults filled in.

    Raises:
        Invalid: E_RUN_CONFIG with a problem for each field that does not fit.
    """
    known = {parameter.name for parameter in parameters}
    problems = [
        FieldProblem(name, "E_RUN_CONFIG", "There is no such parameter.") for name in config if name not in known
    ]
    values: dict[str, Value] = {}
    for parameter in parameters:
        value = config.get(parameter.name, parameter.default)
        if allowance(parameter).permits(value):
            values[parameter.name] = float(value) if parameter.type == "float" else value
        else:
            problems.append(FieldProblem(parameter.name, "E_RUN_CONFIG", _expected(parameter)))
    if problems:
        raise Invalid("E_RUN_CONFIG", "The configuration does not fit the script's parameters.", errors=problems)
    return values


def _expected(parameter: Parameter) -> str:
    words = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}[parameter.type]
    if parameter.choices is not None:
        return f"Expected one of {', '.join(map(as_text, parameter.choices))}."
    bounds = [f"at least {digits(parameter.min)}" if parameter.min is not None else ""]
    bounds.append(f"at most {digits(parameter.max)}" if parameter.max is not None else "")
    return " ".join(filter(None, [f"Expected {words}", " and ".join(filter(None, bounds))])) + "."


def digits(value: float | str) -> str:
    """A bound as people write it: 2147483647, and neither 2.14748e+09 nor 2147483647.0."""
    return f"{Decimal(str(value)).normalize():f}"


def allowance(parameter: Parameter) -> Allowed:
    """What a statement writes for the parameter's whole declared range."""
    return Allowed(
        type=parameter.type,
        min=None if parameter.min is None else digits(parameter.min),
        max=None if parameter.max is None else digits(parameter.max),
        choices=None if parameter.choices is None else [as_text(choice) for choice in parameter.choices],
    )


def allowed(parameters: Sequence[Parameter]) -> dict[str, Allowed]:
    """The declared ranges of all parameters, as a statement writes them."""
    return {parameter.name: allowance(parameter) for parameter in parameters}
