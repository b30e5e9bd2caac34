"""Numbers narrowed to 16 bits for the way and widened again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedstudy_core import flower
from fedstudy_core.carriage import narrowed_record, widened_record
from fedstudy_core.errors import Refusal
from fedstudy_core.transport import (
    HALF,
    LARGEST,
    SMALLEST_NORMAL,
    Rounding,
    RoundingTold,
    narrow,
    narrow_all,
    schema_on_the_way,
    widen_like,
)
from fedstudy_core.updates import schema_of

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)
WIDE = st.sampled_from([np.float32, np.float64]).flatmap(
    lambda dtype: arrays.arrays(dtype, SHAPES, elements={"min_value": -LARGEST, "max_value": LARGEST})
)
OTHERS = st.sampled_from([np.int64, np.uint8, np.bool_, np.float16]).flatmap(
    lambda dtype: arrays.arrays(dtype, SHAPES, elements={"allow_nan": False} if dtype is np.float16 else None)
)


def there_and_back(array: np.ndarray) -> np.ndarray:
    return widen_like({"w": narrow(array)[0]}, {"w": array})["w"]


@given(WIDE)
def test_a_number_comes_back_within_half_a_step(array: np.ndarray) -> None:
    narrowed, rounding = narrow(array)
    back = there_and_back(array)
    assert (narrowed.dtype, narrowed.shape) == (np.float16, array.shape)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    off = np.abs(back.astype(np.float64) - array.astype(np.float64))
    bound = np.maximum(np.abs(array.astype(np.float64)), SMALLEST_NORMAL) * 2**-11
    assert (off <= bound).all()
    assert rounding.relative <= 2**-11
    assert rounding.absolute == pytest.approx(off.max(initial=0.0))
    assert rounding.vanished == np.count_nonzero(array) - np.count_nonzero(back)
    np.testing.assert_array_equal(there_and_back(back), back)
    RoundingTold.model_validate(rounding.told().model_dump())


@given(OTHERS)
def test_what_is_not_wide_travels_as_it_is(array: np.ndarray) -> None:
    narrowed, rounding = narrow(array)
    assert narrowed is array
    assert rounding == Rounding()


@pytest.mark.parametrize("number", [LARGEST + 16, -70_000.0, 1e30, np.inf, np.nan])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_16_bits_cannot_hold_is_refused_by_name(number: float, dtype: Any) -> None:
    array = np.zeros(600_000, dtype)
    array[-1] = number
    with pytest.raises(Refusal, match="“head”") as refused:
        narrow_all({"head": array})
    assert refused.value.code == "E_TRANSPORT_RANGE"


def test_the_rounding_of_several_is_the_largest_and_what_vanished_in_all() -> None:
    tiny = np.full(3, 1e-9, np.float32)
    _, rounding = narrow_all({"a": tiny, "b": np.array([1 + 2**-11, 4.0])})
    assert rounding == Rounding(absolute=2**-11, relative=pytest.approx(2**-11, rel=1e-3), vanished=3)
    assert rounding.told().model_dump() == {"absolute": "4.88e-04", "relative": "4.88e-04", "vanished": 3}


@given(st.dictionaries(st.text("abc.", min_size=1), WIDE | OTHERS, max_size=4))
def test_a_record_says_what_it_stands_for(model: dict[str, np.ndarray]) -> None:
    record, _ = narrowed_record(model)
    came = flower.arrays_of(flower.unpack(flower.pack(flower.RecordDict({"arrays": record})))["arrays"])  # type: ignore[arg-type]
    assert schema_of(came) == schema_on_the_way(schema_of(model), HALF)
    widened = flower.arrays_of(widened_record(record))
    assert schema_of(widened) == schema_of(model)
    for name, array in model.items():
        np.testing.assert_array_equal(widened[name], there_and_back(array))


@pytest.mark.parametrize(("dtype", "meant"), [("float32", "float32"), ("float16", "int64"), ("float32", "float16")])
def test_an_array_that_travels_otherwise_is_refused(dtype: str, meant: str) -> None:
    item = flower.array(np.zeros(2, dtype))
    item.dtype = meant
    with pytest.raises(Refusal) as refused:
        widened_record(flower.record_of({"w": item}))
    assert refused.value.code == "E_ORDER"
