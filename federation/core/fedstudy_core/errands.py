"""Two errands in one message: a node tests the model of the round before, then trains on it.

Both want the same model at the same sites. In one message it travels once and costs one request each way at every hop.
The main errand is written as if it were alone; the one before it stands in one more record: where its order differs
from the main one's, and by name the records of the main content that are its own too. Each order is complete when it
is read, and each errand is answered with its own receipt or error.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from flwr.app import ConfigRecord, RecordDict

from fedstudy_core.errors import Refusal
from fedstudy_core.flower import (
    BEFORE,
    CONTENT,
    INLINE_LIMIT,
    ORDER,
    RECEIPT,
    Order,
    Packed,
    pack,
    unwrap_order,
    wrap_order,
    wrap_reply,
)
from fedstudy_core.freight import Freight

SAME = "same"
ERROR = "error"


@dataclass(frozen=True)
class Answer:
    """A node's answer to one errand: its packed content with the receipt, or an error (of `flower.error_reason`)."""

    packed: Packed | None = None
    receipt: bytes = b""
    error: str = ""


def join_orders(
    before: tuple[RecordDict, Order], main: tuple[RecordDict, Order], packed: Packed | None = None
) -> RecordDict:
    """One message with both errands. What both contents have alike travels once.

    Args:
        packed: the main content's, where it is at hand already.
    """
    content, order = before
    same = sorted(name for name, record in content.items() if main[0].get(name) == record)
    own = RecordDict({name: record for name, record in content.items() if name not in same})
    message = wrap_order(*main, packed)
    alike = asdict(main[1])
    differs = {name: value for name, value in asdict(order).items() if value != alike[name]}
    alone = pack(own)
    if len(alone) > INLINE_LIMIT:
        raise ValueError("the two errands have too little in common to travel in one message")
    message[BEFORE] = ConfigRecord({**differs, **({SAME: same} if same else {}), CONTENT: alone})
    return message


def split_orders(message: RecordDict, freight: Freight | None = None) -> list[tuple[Order, RecordDict]]:
    """The errands of a message, one or two, in the order in which they are to be done.

    Args:
        freight: what came beside the message.

    Raises:
        Refusal: E_ORDER when one does not have the form.
    """
    before = message.get(BEFORE)
    main = unwrap_order(_without(message, BEFORE), freight)
    if before is None:
        return [main]
    if not isinstance(before, ConfigRecord) or not isinstance(before.get(CONTENT), bytes):
        raise Refusal("E_ORDER", "The errand before the main one cannot be read.")
    same = before.get(SAME, [])
    if not isinstance(same, list) or not all(isinstance(name, str) and name in main[1] for name in same):
        raise Refusal("E_ORDER", "The errand before the main one lacks a record.")
    alone = {name: value for name, value in before.items() if name != SAME}
    order, own = unwrap_order(RecordDict({ORDER: ConfigRecord({**asdict(main[0]), **alone})}))
    return [(order, RecordDict({**own, **{str(name): main[1][str(name)] for name in same}})), main]


def join_answers(before: Answer, main: Answer) -> RecordDict:
    """One reply with the answers to both errands."""
    if main.packed is None:
        message = RecordDict({RECEIPT: ConfigRecord({ERROR: main.error})})
    else:
        message = wrap_reply(main.packed, main.receipt)
    if before.packed is None:
        message[BEFORE] = ConfigRecord({ERROR: before.error})
    else:
        message[BEFORE] = ConfigRecord({"receipt": before.receipt, CONTENT: bytes(before.packed)})
    return message


def is_joined(message: RecordDict) -> bool:
    """Whether a reply answers two errands."""
    return BEFORE in message


def with_error(message: RecordDict, error: str) -> RecordDict:
    """A reply to two errands, with an error (of `flower.error_reason`) in the place of the main one's answer."""
    return RecordDict({RECEIPT: ConfigRecord({ERROR: error}), BEFORE: message[BEFORE]})


def split_answers(message: RecordDict) -> tuple[RecordDict | str, RecordDict | str]:
    """The answers to both errands, each a reply as `flower.unwrap_reply` reads it, or the reason of an error.

    Raises:
        Refusal: E_REPLY when the reply is not one to two errands.
    """
    before = message.get(BEFORE)
    if not isinstance(before, ConfigRecord):
        raise Refusal("E_REPLY", "The reply answers one of two errands.")
    return _alone(RecordDict({RECEIPT: before})), _alone(_without(message, BEFORE))


def _alone(message: RecordDict) -> RecordDict | str:
    record = message.get(RECEIPT)
    error = record.get(ERROR) if isinstance(record, ConfigRecord) else None
    return error if isinstance(error, str) else message


def _without(message: RecordDict, name: str) -> RecordDict:
    return RecordDict({key: record for key, record in message.items() if key != name})
