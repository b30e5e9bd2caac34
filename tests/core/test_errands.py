"""Two errands in one message, and their answers in one reply."""

from dataclasses import replace

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedstudy_core import errands, flower
from fedstudy_core.errors import Refusal
from fedstudy_core.freight import Freight

TRAIN = flower.Order("study", "run", 3, "train", "train", 4, 20, "2030-01-01T00:00:00+00:00", "a" * 64, b"dsse", "data")
TEST = replace(TRAIN, round=2, phase="evaluate", message_type="evaluate")
SIZES = [3, 2_000_000]


def model(size: int) -> ArrayRecord:
    return ArrayRecord({"weight": flower.array(np.arange(size, dtype=np.float32))})


def content(size: int, **config: int) -> RecordDict:
    return RecordDict({"arrays": model(size), "config": ConfigRecord(dict(config))})


def reply(size: int) -> RecordDict:
    return RecordDict({"arrays": model(size), "metrics": MetricRecord({"loss": 0.5})})


def answer(given: RecordDict, receipt: bytes) -> errands.Answer:
    return errands.Answer(flower.Packed(flower.pieces_of(given)), receipt)


def beside(given: RecordDict) -> Freight:
    packed = flower.pack(given)
    return Freight(flower.digest_of([packed]), memoryview(packed))


@pytest.mark.parametrize("size", SIZES)
def test_both_errands_come_back_the_one_before_first(size: int) -> None:
    test, train = content(size, batches=2), content(size, epochs=3)
    message = errands.join_orders((test, TEST), (train, TRAIN))
    (first, tested), (second, trained) = errands.split_orders(message, beside(train))
    assert (first, second) == (TEST, TRAIN)
    assert (dict(tested), dict(trained)) == (dict(test), dict(train))


def test_one_errand_is_a_message_like_any_other() -> None:
    assert errands.split_orders(flower.wrap_order(content(3), TRAIN)) == [(TRAIN, content(3))]


def test_a_model_that_both_want_travels_once() -> None:
    train = content(500_000)
    size = len(flower.pack(train))
    message = errands.join_orders((RecordDict({**train, "config": ConfigRecord({"batches": 2})}), TEST), (train, TRAIN))
    assert len(flower.pack(message)) < 1.01 * size


def test_errands_with_two_large_models_do_not_go_together() -> None:
    large = RecordDict({"arrays": ArrayRecord({"weight": flower.array(np.ones(2_000_000, dtype=np.float32))})})
    with pytest.raises(ValueError, match="too little in common"):
        errands.join_orders((large, TEST), (content(3), TRAIN))


def test_what_differs_travels_for_each() -> None:
    other = RecordDict({"arrays": ArrayRecord({"weight": flower.array(np.ones(3, dtype=np.float32))})})
    message = errands.join_orders((other, TEST), (content(3), TRAIN))
    assert dict(errands.split_orders(message)[0][1]) == dict(other)


def _spoilt(**changes: object) -> RecordDict:
    message = errands.join_orders((content(3), TEST), (content(3), TRAIN))
    before = {**message[flower.BEFORE], **changes}  # type: ignore[dict-item]
    message[flower.BEFORE] = ConfigRecord({name: value for name, value in before.items() if value is not None})
    return message


@pytest.mark.parametrize(
    "message",
    [
        _spoilt(same=["absent"]),
        _spoilt(same="arrays"),
        _spoilt(content=b"\xff\xff"),
        _spoilt(content=None),
        _spoilt(round="2"),
        _spoilt(more=1),
        RecordDict({**flower.wrap_order(content(3), TRAIN), flower.BEFORE: MetricRecord({"a": 1})}),
        RecordDict({flower.BEFORE: ConfigRecord({"same": ["arrays"]})}),
    ],
)
def test_an_errand_that_is_not_sound_is_refused(message: RecordDict) -> None:
    with pytest.raises(Refusal) as refused:
        errands.split_orders(message)
    assert refused.value.code in ("E_ORDER", "E_REPLY")


@pytest.mark.parametrize("size", SIZES)
def test_each_answer_keeps_its_receipt_and_hash(size: int) -> None:
    tested, trained = RecordDict({"metrics": MetricRecord({"loss": 1.0})}), reply(size)
    both = errands.split_answers(errands.join_answers(answer(tested, b"first"), answer(trained, b"second")))
    for part, given, receipt in zip(both, (tested, trained), (b"first", b"second"), strict=True):
        assert isinstance(part, RecordDict)
        found, inner, packed = flower.unwrap_reply(part, beside(given))
        assert (found, dict(inner), bytes(packed)) == (receipt, dict(given), flower.pack(given))


def test_one_errand_may_fail_without_the_other() -> None:
    good = answer(reply(3), b"receipt")
    failed = errands.Answer(error="reason")
    first, second = errands.split_answers(errands.join_answers(failed, good))
    assert first == "reason"
    assert isinstance(second, RecordDict)
    first, second = errands.split_answers(errands.join_answers(good, failed))
    assert isinstance(first, RecordDict)
    assert second == "reason"


def test_a_reply_to_one_errand_is_none_to_two() -> None:
    with pytest.raises(Refusal, match="E_REPLY"):
        errands.split_answers(flower.wrap_reply(flower.Packed(flower.pieces_of(reply(3))), b"receipt"))


def test_a_scripts_record_cannot_take_the_place_of_the_errand_before() -> None:
    forged = RecordDict({**reply(3), flower.BEFORE: ConfigRecord({"error": "x"})})
    with pytest.raises(Refusal, match="E_REPLY"):
        errands.split_answers(flower.wrap_reply(flower.Packed(flower.pieces_of(forged)), b"receipt"))
