"""A node in a run whose arrays travel in 16 bits: its script sees and gives what it always does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from flwr.app import ArrayRecord, RecordDict

from fedstudy_core import flower
from fedstudy_core.artifacts import encode_arrays
from fedstudy_core.canonical import digest
from fedstudy_core.carriage import narrowed_record, widened_record
from fedstudy_core.flower import Order
from fedstudy_core.transport import HALF
from tests.factories.agent import script
from tests.factories.office import FAB, Office


def message(model: np.ndarray) -> tuple[RecordDict, str]:
    """The model on its way, and the hash of what the site sees."""
    record, _ = narrowed_record({"0": model})
    seen = flower.arrays_of(widened_record(record))
    return RecordDict({"arrays": record}), digest(encode_arrays(seen))


def half(office: Office, content_sha256: str, **more: object) -> Order:
    return office.node.order(office.node.approve(FAB), transport=HALF, model_sha256=content_sha256, **more)


def test_the_script_sees_the_models_own_type_and_its_answer_is_narrowed(office: Office) -> None:
    content, seen = message(np.full(14, 1 / 3, np.float32))
    order = half(office, seen)
    account, answer = office.read(office.ask(order, content))
    came = flower.arrays_of(answer["arrays"])["0"]  # type: ignore[arg-type]
    expected = np.float32(np.float16(1 / 3)) + np.float32(1)
    assert came.dtype == np.float16
    np.testing.assert_array_equal(came, np.full(14, expected, np.float32).astype(np.float16))
    assert (account.transport, account.model_sha256) == (HALF, seen)
    assert account.rounding is not None
    assert float(account.rounding.absolute) == pytest.approx(abs(float(came[0]) - float(expected)), rel=0.01)
    assert json.loads(office.ledger.departures()[0].contents)["arrays"] == {"arrays": {"0": "float16[14]"}}


def test_the_same_message_is_answered_alike_from_memory(office: Office) -> None:
    content, seen = message(np.full(14, 1 / 3, np.float32))
    order = half(office, seen)
    first, answer = office.read(office.ask(order, content))
    again, repeated = office.read(office.ask(order, message(np.full(14, 1 / 3, np.float32))[0]))
    assert (again.update_sha256, again.rounding) == (first.update_sha256, first.rounding)
    assert flower.pack(repeated) == flower.pack(answer)


def test_an_answer_that_16_bits_cannot_hold_does_not_leave(office: Office) -> None:
    content, seen = message(np.full(14, 65504, np.float32))
    raised = script(**{'np.float32(context.run_config["step"])': "np.float32(100)"})
    office.open(raised)
    order = office.node.order(office.node.approve(raised), transport=HALF, model_sha256=seen)
    code, account = office.error(office.ask(order, content))
    assert (code, account.outcome) == ("E_TRANSPORT_RANGE", "failed")
    assert office.ledger.departures()[0].numbers == 0


@pytest.mark.parametrize("transport", ["float8", ""])
def test_an_unknown_transport_is_refused(office: Office, transport: str) -> None:
    order = office.node.order(office.node.approve(FAB), transport=transport)
    assert office.error(office.ask(order))[0] == "E_ORDER"


def test_a_model_that_travels_otherwise_than_its_order_says_is_refused(office: Office) -> None:
    content, seen = message(np.zeros(14, np.float32))
    as_it_is = RecordDict({"arrays": ArrayRecord({"0": flower.array(np.zeros(14, np.float32))})})
    assert office.error(office.ask(half(office, seen), as_it_is))[0] == "E_ORDER"
    order = office.node.order(office.node.approve(FAB), model_sha256=seen)
    assert office.error(office.ask(order, content))[0] == "E_ORDER"
