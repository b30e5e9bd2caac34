"""Answers that travelled in 16 bits: a strategy makes of them what it makes of the same numbers, widened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.strategies.conduct import Contribution
from federation.strategies.description import Description
from fedstudy_core import flower as records
from fedstudy_core.artifacts import encode_arrays
from fedstudy_core.carriage import narrowed_record, widened_record
from fedstudy_core.errors import Refusal
from fedstudy_core.transport import AS_IS, HALF, Transport
from tests.strategies.builders import ARRAY_STRATEGIES, answers, conduct, network

ARRAYS = pytest.mark.parametrize("strategy", ARRAY_STRATEGIES, ids=lambda item: item.name)


def both(item: Contribution) -> tuple[Contribution, Contribution]:
    narrowed, _ = narrowed_record(records.arrays_of(item.arrays))
    widened = widened_record(narrowed)
    for array in narrowed.values():
        array.dtype = "float16"  # as a node's answer says it
    return replace(item, arrays=narrowed), replace(item, arrays=widened)


@ARRAYS
def test_the_model_is_that_of_the_widened_numbers_to_the_bit(strategy: Description) -> None:
    came, meant = zip(*map(both, answers(8)), strict=True)
    assert any(array.numpy().dtype == "float16" for item in came for array in item.arrays.values())
    model, memory = conduct(strategy.name).combine(1, network(), {}, came)
    expected, kept = conduct(strategy.name).combine(1, network(), {}, meant)
    assert encode_arrays(model) == encode_arrays(expected)
    assert encode_arrays(memory) == encode_arrays(kept)


@ARRAYS
def test_an_answer_is_held_to_the_transport(strategy: Description) -> None:
    came, meant = both(answers(1)[0])

    def check(item: Contribution, transport: Transport) -> None:
        conduct(strategy.name).check(network(), records.arrays_of(item.arrays), item.metrics, transport=transport)

    check(came, HALF)
    check(meant, AS_IS)
    for item, transport in ((came, AS_IS), (meant, HALF)):
        with pytest.raises(Refusal, match="E_UPDATE_DTYPE"):
            check(item, transport)
