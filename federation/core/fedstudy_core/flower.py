"""Flower records as the portal and the nodes exchange them: the only module of this package that imports Flower.

A Flower message is a tree of objects, and each object costs a request at every hop. So the content of a small message
travels as bytes inside one record, beside the order (outwards) or the receipt (back): three objects instead of seven or
more. A large content keeps its own records, which Flower moves in chunks.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from flwr.common.constant import SType
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.proto.recorddict_pb2 import RecordDict as RecordDictProto
from google.protobuf.message import DecodeError

from fedstudy_core.canonical import digest
from fedstudy_core.errors import Refusal
from fedstudy_core.npy import read_npy

ORDER = "fedstudy.order"
RECEIPT = "fedstudy.receipt"
CONTENT = "content"
INLINE_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Order:
    """What the portal says about a message; the node believes none of it without its own approval.

    Attributes:
        phase: "query", "train" or "evaluate".
        sites: the fewest answers that a round of the run is made of.
        rounds: rounds of the run.
        deadline: ISO 8601; an answer after it is not waited for.
        model_sha256: the parameters in the message ("" when there are none).
        approval: the site's own signed statement (DSSE bytes).
        dataset: id of the dataset.
    """

    study: str
    run: str
    round: int
    phase: str
    message_type: str
    sites: int
    rounds: int
    deadline: str
    model_sha256: str
    approval: bytes
    dataset: str


@dataclass(frozen=True)
class NodeError:
    """What a node puts into Flower's error reply."""

    code: str
    detail: str
    receipt: bytes


def array(value: np.ndarray) -> Array:
    return Array.from_numpy_ndarray(value)


def arrays_of(record: ArrayRecord) -> dict[str, np.ndarray]:
    """The arrays of a record by name, as read-only views; use this and not `Array.numpy` for what came from elsewhere.

    Raises:
        Refusal: E_REPLY or E_UPDATE_DTYPE when an array is not plain numbers in NumPy's format.
    """
    if any(item.stype != SType.NUMPY for item in record.values()):
        raise Refusal("E_REPLY", "An array is not in NumPy's format.")
    return {name: read_npy(item.data) for name, item in record.items()}


def pack(content: RecordDict) -> bytes:
    """A content as deterministic bytes (Flower's protobuf)."""
    return recorddict_to_proto(content).SerializeToString(deterministic=True)


def unpack(data: bytes) -> RecordDict:
    """Raises Refusal E_REPLY when the bytes are no content."""
    try:
        return recorddict_from_proto(RecordDictProto.FromString(data))
    except (DecodeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refusal("E_REPLY", "The content of a message cannot be read.") from error


def is_small(content: RecordDict) -> bool:
    """Whether the arrays alone stay under `INLINE_LIMIT`; cheap, so that a large content is not packed in vain."""
    arrays = (record for record in content.values() if isinstance(record, ArrayRecord))
    return sum(len(item.data) for record in arrays for item in record.values()) < INLINE_LIMIT


def wrap_order(content: RecordDict, order: Order) -> RecordDict:
    """The message that goes out: the order, and the content inside or beside it."""
    return _wrap(ORDER, asdict(order), content)


def unwrap_order(message: RecordDict) -> tuple[Order, RecordDict]:
    """What a node got: the order and the content as the script shall see it.

    Raises:
        Refusal: E_ORDER when there is no order or it does not have the form.
    """
    record = message.get(ORDER)
    if not isinstance(record, ConfigRecord):
        raise Refusal("E_ORDER", "The message carries no order.")
    values = {name: value for name, value in record.items() if name != CONTENT}
    if set(values) != {field.name for field in fields(Order)}:
        raise Refusal("E_ORDER", "The message's order has other fields than expected.")
    for field in fields(Order):
        if type(values[field.name]).__name__ != field.type:
            raise Refusal("E_ORDER", f"The order's “{field.name}” has the wrong type.")
    return Order(**values), _inner(message, ORDER, record)  # type: ignore[arg-type]


def wrap_reply(content: RecordDict, packed: bytes | None, receipt: bytes) -> RecordDict:
    """The reply that goes back: the receipt, and the content inside or beside it.

    Args:
        packed: `pack(content)` where it is at hand already.
    """
    return _wrap(RECEIPT, {"receipt": receipt}, content, packed)


def unwrap_reply(message: RecordDict) -> tuple[bytes, RecordDict, bytes, str]:
    """Receipt, content, packed content and its SHA-256.

    Raises:
        Refusal: E_REPLY when the reply is not from a FedStudy node.
    """
    record = message.get(RECEIPT)
    if not isinstance(record, ConfigRecord) or not isinstance(receipt := record.get("receipt"), bytes):
        raise Refusal("E_REPLY", "The reply carries no receipt.")
    content = _inner(message, RECEIPT, record)
    inline = record.get(CONTENT)
    packed = inline if isinstance(inline, bytes) else pack(content)
    return receipt, content, packed, digest(packed)


def _wrap(name: str, values: dict[str, Any], content: RecordDict, packed: bytes | None = None) -> RecordDict:
    if name in content:
        raise Refusal("E_REPLY", f"A script's record cannot be named “{name}”.")
    if is_small(content):
        inline = packed if packed is not None else pack(content)
        if len(inline) <= INLINE_LIMIT:
            return RecordDict({name: ConfigRecord({**values, CONTENT: inline})})
    return RecordDict({name: ConfigRecord(values), **content})


def _inner(message: RecordDict, name: str, record: ConfigRecord) -> RecordDict:
    inline = record.get(CONTENT)
    if isinstance(inline, bytes):
        return unpack(inline)
    return RecordDict({key: value for key, value in message.items() if key != name})


def error_reason(code: str, detail: str, receipt: bytes) -> str:
    """The text of an error reply."""
    return json.dumps({"code": code, "detail": detail, "receipt": base64.b64encode(receipt).decode("ascii")})


def parse_error_reason(reason: str) -> NodeError:
    """Raises Refusal E_REPLY when the text was not written by `error_reason`."""
    try:
        value = json.loads(reason)
        receipt = base64.b64decode(value["receipt"], validate=True)
        return NodeError(code=str(value["code"]), detail=str(value["detail"])[:500], receipt=receipt)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal("E_REPLY", "The node's error cannot be read.") from error
