"""What is looked through in blocks is what NumPy says of the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fedstudy_core.blocks import BLOCK, is_finite, squared_distance, sum_of_squares

SIZE = 2 * BLOCK + 5
KINDS = ("float16", "float32", "float64", "int8", "int64", "uint8", "bool")
PLACES = (0, BLOCK - 1, BLOCK, 2 * BLOCK - 1, 2 * BLOCK, SIZE - 1)


def some(dtype: str, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).random(SIZE) * 9 - (4 if dtype[0] in "fi" else 0)).astype(dtype)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", PLACES)
def test_one_number_that_is_not_finite_is_found_wherever_it_is(place: int, value: float) -> None:
    for dtype in ("float16", "float32", "float64"):
        array = some(dtype)
        assert is_finite(array)
        array[place] = value
        assert not is_finite(array)
        assert not is_finite(np.asfortranarray(array[: SIZE - 1].reshape(2, -1))) or place == SIZE - 1
        assert not is_finite(np.stack((array, array))[:, ::-1])


@pytest.mark.parametrize("shape", [(), (0,), (0, 4)])
def test_small_and_empty_arrays(shape: tuple[int, ...]) -> None:
    assert is_finite(np.ones(shape))
    assert sum_of_squares(np.ones(shape)) == np.ones(shape).size
    assert squared_distance({"a": np.ones(shape)}, {"a": np.zeros(shape)}) == np.ones(shape).size


@pytest.mark.parametrize("dtype", KINDS)
def test_sums_are_those_of_the_whole(dtype: str) -> None:
    one, other = some(dtype), some(dtype, seed=2)
    wide = one.astype(np.float64)
    assert sum_of_squares(one) == pytest.approx(float(np.square(wide).sum()), rel=1e-12)
    expected = float(np.square(wide - other.astype(np.float64)).sum())
    assert squared_distance({"a": one}, {"a": other}) == pytest.approx(expected, rel=1e-12)


def test_arrays_that_lie_differently_are_compared_by_place() -> None:
    one = some("float32")[:-1].reshape(2, -1)
    assert squared_distance({"a": np.asfortranarray(one)}, {"a": one}) == 0


def test_what_is_beyond_all_numbers_is_not_finite() -> None:
    large = np.full(SIZE, 1e200)
    assert math.isinf(sum_of_squares(large))
    assert not math.isfinite(squared_distance({"a": large}, {"a": -large}))
