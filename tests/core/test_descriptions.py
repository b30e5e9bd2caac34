"""Parameters and dictionaries: what fits is taken, what does not is named field by field."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core import dictionary
from fedstudy_core.dictionary import Variable
from fedstudy_core.errors import Invalid
from fedstudy_core.parameters import Allowed, Parameter, allowance, allowed, from_project, validate_config
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


@pytest.mark.parametrize("value", [10**400, -(10**400), 2**63])
def test_numbers_that_no_message_can_carry_are_refused(value: int) -> None:
    for parameter in (Parameter(name="x", type="int", default=1), Parameter(name="x", type="float", default=1.0)):
        with pytest.raises(Invalid, match="E_RUN_CONFIG"):
            validate_config((parameter,), {"x": value})


def test_choices_are_compared_as_numbers() -> None:
    rate = Parameter(name="rate", type="float", default=1.0, choices=(1, 0.5))
    assert validate_config((rate,), {}) == {"rate": 1.0}
    assert allowance(rate).permits(1)
    assert not allowance(rate).permits(0.25)


@pytest.mark.parametrize("limits", [{"min": "abc"}, {"max": "NaN"}, {"choices": ["x"]}])
def test_an_approval_with_unreadable_limits_allows_nothing(limits: dict[str, object]) -> None:
    assert not Allowed.model_validate({"type": "int", **limits}).permits(1)


def test_text_that_nothing_is_said_of_stays_as_it_is() -> None:
    project = tomllib.loads(PROJECT.replace("learning-rate = 0.1", 'target = "auc"'))
    parameters = from_project(project)
    assert validate_config(parameters, {})["target"] == "auc"
    with pytest.raises(Invalid, match="E_RUN_CONFIG"):
        validate_config(parameters, {"target": "/etc/passwd"})


def test_nested_configuration_is_named_with_dots() -> None:
    project = tomllib.loads(PROJECT.replace("learning-rate = 0.1", "model.depth = 3"))
    assert [parameter.name for parameter in from_project(project)] == ["local-steps", "model.depth"]


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
        ([variable(min=float("nan"))], "variables.0.min"),
        ([variable(max=float("inf"))], "variables.0.max"),
        ([variable(min=True)], "variables.0.min"),
        ([variable(min="3")], "variables.0.min"),
        ([variable(required="yes")], "variables.0.required"),
        ([variable(label="age\u202e")], "variables.0.label"),
        ([variable(type="categorical", codes=[{"value": 2**60}])], "variables.0.label"),
        ([variable(type="categorical", codes=[{"value": True}])], "variables.0.codes.0.value.str"),
        ([variable(type="categorical", codes=[{"value": position} for position in range(1001)])], "variables.0.codes"),
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


def test_texts_are_composed_so_that_every_system_has_the_same_hash() -> None:
    composed, parted = (dictionary.parse([variable(label=label)]) for label in ("\u00e9tat", "e\u0301tat"))
    assert composed == parted
    assert composed.sha256 == parted.sha256


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(Variable.model_fields)), inner),
    max_leaves=12,
)


@given(json_values | st.lists(st.fixed_dictionaries({"name": st.just("a"), "type": st.just("number")}, optional={
    field: json_values for field in Variable.model_fields if field not in ("name", "type")
})))  # fmt: skip
def test_any_json_is_a_dictionary_with_a_hash_or_refused_by_field(value: object) -> None:
    try:
        assert len(dictionary.parse(value).sha256) == 64
    except Invalid as error:
        assert error.code == "E_DICTIONARY"
