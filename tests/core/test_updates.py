"""Nothing reaches a strategy that does not fit the model: the poison corpus."""

import json
import math

import numpy as np
import pytest

from fedstudy_core.errors import Refusal
from fedstudy_core.updates import check_metrics, check_update, schema_of

MODEL = {"weight": np.ones((1, 13), dtype=np.float32), "bias": np.zeros(1, dtype=np.float32)}
SCHEMA = schema_of(MODEL)


def poisoned(value: float) -> dict[str, np.ndarray]:
    weight = MODEL["weight"].copy()
    weight[0, 5] = value
    return {**MODEL, "weight": weight}


def code_of(arrays: dict[str, np.ndarray], examples: object = 10, max_norm: float | None = None) -> str:
    with pytest.raises(Refusal) as refusal:
        check_update(arrays, SCHEMA, examples=examples, max_examples=1000, max_norm=max_norm)  # type: ignore[arg-type]
    return refusal.value.code


def test_an_honest_update_passes() -> None:
    check_update(MODEL, SCHEMA, examples=10, max_examples=1000, max_norm=100.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_must_be_finite(value: float) -> None:
    assert code_of(poisoned(value)) == "E_UPDATE_NOT_FINITE"


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({}, "E_UPDATE_NAMES"),
        ({"weight": MODEL["weight"]}, "E_UPDATE_NAMES"),
        ({**MODEL, "more": MODEL["bias"]}, "E_UPDATE_NAMES"),
        (dict(reversed(MODEL.items())), "E_UPDATE_NAMES"),
        ({**MODEL, "weight": np.ones((13, 1), np.float32)}, "E_UPDATE_SHAPE"),
        ({**MODEL, "bias": np.zeros((), np.float32)}, "E_UPDATE_SHAPE"),
        ({**MODEL, "bias": np.zeros(1, np.float64)}, "E_UPDATE_DTYPE"),
        ({**MODEL, "bias": np.zeros(1, complex)}, "E_UPDATE_DTYPE"),
        ({**MODEL, "bias": np.array([None])}, "E_UPDATE_DTYPE"),
    ],
)
def test_names_shapes_and_types_must_be_the_models(arrays: dict[str, np.ndarray], code: str) -> None:
    assert code_of(arrays) == code


@pytest.mark.parametrize("examples", [0, -9, 1e12, 1.5, math.nan, math.inf, True, "10", None])
def test_weights_must_be_plausible_row_counts(examples: object) -> None:
    assert code_of(MODEL, examples) == "E_UPDATE_WEIGHT"


def test_the_norm_is_bounded() -> None:
    assert code_of(poisoned(1e6), max_norm=10.0) == "E_UPDATE_NORM"


@pytest.mark.parametrize(
    ("metrics", "code"),
    [
        ({"loss": math.nan}, "E_METRICS_NOT_FINITE"),
        ({"loss": [0.1, math.inf]}, "E_METRICS_NOT_FINITE"),
        ({"loss": True}, "E_METRICS_TYPE"),
        ({"name": "Smith"}, "E_METRICS_TYPE"),
        ({"many": [0] * 10_001}, "E_METRICS_SIZE"),
        ({str(number): 0 for number in range(201)}, "E_METRICS_SIZE"),
    ],
)
def test_metrics_are_few_finite_numbers(metrics: dict[str, object], code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check_metrics(metrics)
    assert refusal.value.code == code


def test_a_norm_beyond_all_numbers_is_too_large() -> None:
    huge = {"weight": np.full(3, 1e200)}
    with pytest.raises(Refusal, match="E_UPDATE_NORM"):
        check_update(huge, schema_of(huge), examples=1, max_examples=1, max_norm=1e300)


def test_a_schema_that_was_kept_as_json_still_holds() -> None:
    kept = json.loads(json.dumps(SCHEMA))
    check_update(MODEL, kept, examples=1, max_examples=1)
    with pytest.raises(Refusal, match="E_UPDATE_SHAPE"):
        check_update({**MODEL, "bias": np.zeros(2, np.float32)}, kept, examples=1, max_examples=1)


def test_another_byte_order_is_another_type() -> None:
    assert code_of({**MODEL, "bias": np.zeros(1, ">f4")}) == "E_UPDATE_DTYPE"


@pytest.mark.parametrize("name", ["x" * 101, "patient\u202e", "a\nb"])
def test_a_metric_cannot_hide_words_in_its_name(name: str) -> None:
    with pytest.raises(Refusal, match="E_METRICS_SIZE"):
        check_metrics({name: 1.0})
