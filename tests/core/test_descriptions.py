"""Parameters and dictionaries: what fits is taken, what does not is named field by field."""

import tomllib

import pytest

from fedstudy_core import dictionary
from fedstudy_core.errors import Invalid
from fedstudy_core.parameters import Parameter, allowance, allowed, from_project, validate_config
from tests.core.builders import PROJECT

STEPS = Parameter(name="steps", type="int", default=5, min=1, max=10)
RATE = Parameter(name="rate", type="float", default=0.1, min=0.00001, max=1)
MODE = Parameter(name="mode", type="str", default="global", choices=("global", "site"))


def test_a_project_declares_its_parameters() -> None:
    steps, rate = from_project(tomllib.loads(PROJECT))
    assert (steps.name, steps.type, steps.default, steps.max) == ("local-steps", "int", 10, 100)
    assert (rate.type, rate.min) == ("float", None)


def test_defaults_fill_what_is_not_given_and_whole_numbers_serve_as_fractions() -> None:
    assert validate_config((STEPS, RATE, MODE), {"rate": 1}) == {"steps": 5, "rate": 1.0, "mode": "global"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("steps", 11), ("steps", 2.0), ("steps", True), ("rate", float("nan")), ("mode", "both"), ("no", 1)],
)
def test_each_wrong_value_is_named(name: str, value: object) -> None:
    with pytest.raises(Invalid) as error:
        validate_config((STEPS, RATE, MODE), {name: value})
    assert [problem.field for problem in error.value.errors] == [name]


def test_a_statement_allows_the_declared_range_as_decimal_text() -> None:
    assert allowed((RATE,))["rate"].min == "0.00001"
    assert allowance(RATE).permits(0.5)
    assert not allowance(RATE).permits(1.5)
    assert allowance(MODE).choices == ["global", "site"]


def variable(**changes: object) -> dict[str, object]:
    return {"name": "age", "type": "integer", **changes}


def test_a_dictionary_has_one_hash_whatever_the_spelling() -> None:
    first = dictionary.parse([variable(min=0)])
    assert first.sha256 == dictionary.parse({"variables": [variable(min=0.0, label="")]}).sha256
    assert first.sha256 != dictionary.parse([variable(min=1)]).sha256


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ([variable(), variable(name="AGE")], "variables.1.name"),
        ([variable(min=9, max=1)], "variables.0.min"),
        ([variable(type="categorical")], "variables.0.codes"),
        ([variable(type="text", max=3)], "variables.0.type"),
        ([variable(type="categorical", codes=[{"value": 1}, {"value": "1"}])], "variables.0.codes"),
        ([variable(name="1 age")], "variables.0.name"),
        ([variable(surprise=1)], "variables.0.surprise"),
        ([variable(type="blob")], "variables.0.type"),
    ],
)
def test_contradictions_are_named_by_field(variables: list[dict[str, object]], field: str) -> None:
    with pytest.raises(Invalid) as error:
        dictionary.parse(variables)
    assert error.value.code == "E_DICTIONARY"
    assert field in [problem.field for problem in error.value.errors]


@pytest.mark.parametrize("value", [[], {}, "x", None, {"variables": {}}])
def test_a_dictionary_is_a_list_of_variables(value: object) -> None:
    with pytest.raises(Invalid, match="E_DICTIONARY"):
        dictionary.parse(value)
