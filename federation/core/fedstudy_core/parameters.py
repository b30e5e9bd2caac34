"""The parameters of a script or a strategy: what a run's configuration may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from fedstudy_core.errors import FieldProblem, Invalid

Value = int | float | str | bool
Kind = Literal["int", "float", "str", "bool"]
_KINDS: dict[type, Kind] = {bool: "bool", int: "int", float: "float", str: "str"}


class Parameter(BaseModel):
    """One parameter. `min` and `max` hold for numbers, `choices` for any type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: Kind
    default: Value
    min: float | None = None
    max: float | None = None
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
        """Whether the value has the type and lies within."""
        if type(value) is int and self.type == "float":
            value = float(value)
        if _KINDS.get(type(value)) != self.type:
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if self.choices is not None and as_text(value) not in self.choices:
            return False
        return self._within(value)

    def _within(self, value: object) -> bool:
        if self.type not in ("int", "float"):
            return True
        try:
            number = Decimal(as_text(value))
            low = self.min is None or Decimal(self.min) <= number
            return low and (self.max is None or number <= Decimal(self.max))
        except InvalidOperation:
            return False


def as_text(value: object) -> str:
    """A value as statements write it: booleans in lower case, numbers in their shortest form."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def from_project(project: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The parameters of a Flower app's pyproject.

    Defaults come from `[tool.flwr.app.config]`; types, ranges and words from `[tool.fedstudy.parameters.<name>]`.

    Raises:
        Invalid: E_BUNDLE_DECLARATION.
    """
    tool = project.get("tool", {})
    defaults = _flatten(tool.get("flwr", {}).get("app", {}).get("config", {}))
    declared = tool.get("fedstudy", {}).get("parameters", {})
    unknown = set(declared) - set(defaults)
    if unknown:
        raise Invalid("E_BUNDLE_DECLARATION", f"No default is given for {', '.join(sorted(unknown))}.")
    parameters = []
    for name, default in defaults.items():
        described = {"type": _KINDS.get(type(default)), **declared.get(name, {})}
        whole = described["type"] == "float" and type(default) is int
        try:
            parameter = Parameter(name=name, default=float(default) if whole else default, **described)
        except (ValidationError, TypeError) as error:
            raise Invalid("E_BUNDLE_DECLARATION", f"The parameter “{name}” is not declared well.") from error
        validate_config((parameter,), {})
        parameters.append(parameter)
    return tuple(parameters)


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
        if parameter.type == "float" and type(value) is int:
            value = float(value)
        if allowance(parameter).permits(value):
            values[parameter.name] = value
        else:
            problems.append(FieldProblem(parameter.name, "E_RUN_CONFIG", _expected(parameter)))
    if problems:
        raise Invalid("E_RUN_CONFIG", "The configuration does not fit the script's parameters.", errors=problems)
    return values


def _expected(parameter: Parameter) -> str:
    words = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}[parameter.type]
    if parameter.choices is not None:
        return f"Expected one of {', '.join(map(as_text, parameter.choices))}."
    bounds = [f"at least {parameter.min:g}" if parameter.min is not None else ""]
    bounds.append(f"at most {parameter.max:g}" if parameter.max is not None else "")
    return " ".join(filter(None, [f"Expected {words}", " and ".join(filter(None, bounds))])) + "."


def allowance(parameter: Parameter) -> Allowed:
    """What a statement writes for the parameter's whole declared range."""
    return Allowed(
        type=parameter.type,
        min=None if parameter.min is None else f"{Decimal(str(parameter.min)):f}",
        max=None if parameter.max is None else f"{Decimal(str(parameter.max)):f}",
        choices=None if parameter.choices is None else [as_text(choice) for choice in parameter.choices],
    )


def allowed(parameters: Sequence[Parameter]) -> dict[str, Allowed]:
    """The declared ranges of all parameters, as a statement writes them."""
    return {parameter.name: allowance(parameter) for parameter in parameters}
