"""Flower records as the portal and the nodes exchange them; with `serverapp` all that imports Flower here.

A Flower message is a tree of objects, and each object costs a request at every hop. So a content travels as packed
bytes inside one record, beside the order (outwards) or the receipt (back), and the message goes whole. A large content
does not travel in the message: that names it by the SHA-256 of its packed bytes (`freight`).
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, RecordDict
from flwr.common.constant import SType
from flwr.common.serde import context_to_proto, recorddict_from_proto, recorddict_to_proto
from flwr.proto.recorddict_pb2 import RecordDict as RecordDictProto
from google.protobuf.message import DecodeError

from fedstudy_core import spool
from fedstudy_core.artifacts import digest_of
from fedstudy_core.errors import Refusal
from fedstudy_core.freight import SHA256, Freight
from fedstudy_core.npy import read_npy
from fedstudy_core.spool import Lying, Source

ORDER = "fedstudy.order"
RECEIPT = "fedstudy.receipt"
BEFORE = "fedstudy.before"  # see `errands`
CONTENT = "content"
FREIGHT = "freight"
INLINE_LIMIT = 4 * 1024 * 1024
_STEP = 16

Data = bytes | memoryview


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
        transport: how the arrays of the message and of its answer travel (`transport.Transport`).
        ticket: lets the node fetch a large content, and hand in a large answer.
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
    transport: str = "float32"
    ticket: str = ""


@dataclass(frozen=True)
class Packed:
    """A content as it travels: its packed bytes, in pieces."""

    pieces: Sequence[Data]

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.pieces))

    @property
    def is_small(self) -> bool:
        """Whether it travels inside its message."""
        return self.size <= INLINE_LIMIT

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of its bytes."""
        return digest_of(self.pieces)

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)

    def words(self) -> dict[str, Any]:
        """What a message says of it: the bytes, or their name."""
        return {CONTENT: bytes(self)} if self.is_small else {FREIGHT: self.sha256}


@dataclass(frozen=True)
class NodeError:
    """What a node puts into Flower's error reply."""

    code: str
    detail: str
    receipt: bytes


def array(value: np.ndarray) -> Array:
    """The array as Flower carries it, copied once; Flower's own way copies it three times."""
    if not _lies_plainly(value):
        return Array.from_numpy_ndarray(value)
    data = b"".join((_npy_head(value), value.reshape(-1).view(np.uint8).data))
    return Array(str(value.dtype), value.shape, SType.NUMPY, data)


class _Viewed(Array):
    """An array that is read where it lies. It travels by `pieces_of` only."""

    def __init__(self, value: np.ndarray) -> None:
        super().__init__(str(value.dtype), value.shape, SType.NUMPY, b"")
        self._value = value

    def numpy(self) -> np.ndarray:
        return self._value

    def pieces(self) -> tuple[Data, ...]:
        """What `array` joins."""
        if not _lies_plainly(self._value):
            return (array(self._value).data,)
        return (_npy_head(self._value), self._value.reshape(-1).view(np.uint8).data)

    def __eq__(self, other: object) -> bool:
        """As between Flower's arrays: of the same bytes."""
        if not isinstance(other, _Viewed):
            return False
        return self._value is other._value or b"".join(self.pieces()) == b"".join(other.pieces())

    __hash__ = None  # type: ignore[assignment]  # as Flower's arrays


def viewed(value: np.ndarray) -> Array:
    """The array without a copy, for code of Flower's that only reads it by `numpy()` or hands it on."""
    return _Viewed(value)


def _lies_plainly(value: np.ndarray) -> bool:
    return value.flags.c_contiguous and value.dtype.kind in "biufc"


def record_of(items: Mapping[str, Array]) -> ArrayRecord:
    """A record of these arrays as they are; Flower's own way to make one copies each."""
    record = ArrayRecord()
    for name, item in items.items():
        record[name] = item
    return record


def array_again(came: Array | None, value: np.ndarray) -> Array:
    """As `array(value)`: its data are those that `value` was read from, where these are the very same bytes."""
    head = _npy_head(value) if came is not None and value.flags.c_contiguous else b""
    if came is None or not head or bytes(came.data[: len(head)]) != head or len(came.data) != len(head) + value.nbytes:
        return array(value)
    again = Array(str(value.dtype), value.shape, SType.NUMPY, b"")
    again.data = came.data
    return again


def _npy_head(value: np.ndarray) -> bytes:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(value))
    return head.getvalue()


def arrays_of(record: ArrayRecord) -> dict[str, np.ndarray]:
    """The arrays of a record by name, as read-only views; use this and not `Array.numpy` for what came from elsewhere.

    Raises:
        Refusal: E_REPLY or E_UPDATE_DTYPE when an array is not plain numbers in NumPy's format.
    """
    if any(item.stype != SType.NUMPY for item in record.values()):
        raise Refusal("E_REPLY", "An array is not in NumPy's format.")
    return {name: item.numpy() if isinstance(item, _Viewed) else read_npy(item.data) for name, item in record.items()}


def server_context(run_id: int, node_id: int, config: Mapping[str, Any]) -> bytes:
    """The context that a ServerApp begins with, serialised."""
    context = Context(run_id, node_id, {}, RecordDict(), dict(config))
    return context_to_proto(context).SerializeToString(deterministic=True)


def pack(content: RecordDict) -> bytes:
    """A content as deterministic bytes: what it consists of, and then the data of its arrays, as they are.

    The former is Flower's protobuf with the length of each array (8 bytes, little-endian) in the place of its data; its
    own length (8 bytes) comes before it. Everything begins at a multiple of 16 bytes, with zeros between. So the data
    are copied once, and not copied to be read.
    """
    return b"".join(pieces_of(content))


def pieces_of(content: RecordDict) -> list[Data]:
    """What `pack` joins; the arrays' data are not copied."""
    data = [item.pieces() if isinstance(item, _Viewed) else (item.data,) for item in _arrays(content)]
    lengths = iter([sum(map(len, parts)).to_bytes(8, "little") for parts in data])
    plan = RecordDict(
        {
            name: _filled(record, lengths) if isinstance(record, ArrayRecord) else record
            for name, record in content.items()
        }
    )
    description = recorddict_to_proto(plan).SerializeToString(deterministic=True)
    pieces: list[Data] = []
    for parts in ((len(description).to_bytes(8, "little") + description,), *data):
        pieces += (*parts, bytes(-sum(map(len, parts)) % _STEP))
    return pieces


def unpack(data: bytes | bytearray | memoryview) -> RecordDict:
    """The content whose bytes these are; the arrays' data are views of them.

    Raises:
        Refusal: E_REPLY when the bytes are no content.
    """
    return unpack_from(Lying(data))


def unpack_from(source: Source) -> RecordDict:
    """The content whose bytes come; each array's data are what one reading gives. Raises Refusal as `unpack`."""
    length = int.from_bytes(_read(source, 8), "little")
    try:
        content = recorddict_from_proto(RecordDictProto.FromString(bytes(_read(source, length))))
    except (DecodeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable() from error
    _skip_padding(source, 8 + length)
    for item in _arrays(content):
        if len(item.data) != 8:
            raise _unreadable()
        size = int.from_bytes(item.data, "little")
        item.data = _read(source, size)  # type: ignore[assignment]  # Flower's own reading takes any buffer
        _skip_padding(source, size)
    if source.left:
        raise _unreadable()
    return content


def _read(source: Source, count: int) -> Data:
    if count > source.left:
        raise _unreadable()
    return source.read(count)


def _skip_padding(source: Source, size: int) -> None:
    """Go on to where the piece after one of this size begins. Raises Refusal E_REPLY where something stands between."""
    if any(_read(source, -size % _STEP)):
        raise _unreadable()


def let_go(content: RecordDict) -> None:
    """Give back the memory of arrays that lie in files (`spool`). They can still be read."""
    spool.let_go(*(item.data for item in _arrays(content)))


def _arrays(content: RecordDict) -> list[Array]:
    return [item for record in content.values() if isinstance(record, ArrayRecord) for item in record.values()]


def _filled(record: ArrayRecord, data: Iterator[bytes]) -> ArrayRecord:
    """The record's arrays with other data, one after the other."""
    return ArrayRecord({name: Array(item.dtype, item.shape, item.stype, next(data)) for name, item in record.items()})


def _unreadable() -> Refusal:
    return Refusal("E_REPLY", "The content of a message cannot be read.")


def wrap_order(content: RecordDict, order: Order, packed: Packed | None = None) -> RecordDict:
    """The message that goes out: the order, and with it the content or its name.

    Args:
        packed: the content's, where it is at hand already.
    """
    check_record_names(content)
    packed = packed or Packed(pieces_of(content))
    return RecordDict({ORDER: ConfigRecord({**asdict(order), **packed.words()})})


def unwrap_order(message: RecordDict, freight: Freight | None = None) -> tuple[Order, RecordDict]:
    """What a node got: the order and the content as the script shall see it.

    Args:
        freight: what came beside the message.

    Raises:
        Refusal: E_ORDER when there is no order or it does not have the form; E_REPLY for the content.
    """
    record = message.get(ORDER)
    if not isinstance(record, ConfigRecord):
        raise Refusal("E_ORDER", "The message carries no order.")
    values = {name: value for name, value in record.items() if name not in (CONTENT, FREIGHT)}
    if set(values) != {field.name for field in fields(Order)}:
        raise Refusal("E_ORDER", "The message's order has other fields than expected.")
    for field in fields(Order):
        if type(values[field.name]).__name__ != field.type:
            raise Refusal("E_ORDER", f"The order's “{field.name}” has the wrong type.")
    return Order(**values), unpack(_packed(record, freight))  # type: ignore[arg-type]


def wrap_reply(packed: Packed, receipt: bytes) -> RecordDict:
    """The reply that goes back: the receipt, and with it the content or its name."""
    return RecordDict({RECEIPT: ConfigRecord({"receipt": receipt, **packed.words()})})


def unwrap_reply(message: RecordDict, freight: Freight | None = None) -> tuple[bytes, RecordDict, Packed]:
    """Receipt, content, and the packed content.

    Args:
        freight: what came beside the message.

    Raises:
        Refusal: E_REPLY when the reply is not from a FedStudy node.
    """
    receipt = receipt_of(message)
    data = _packed(message.config_records[RECEIPT], freight)
    packed = Packed([data])
    if freight is not None and data is freight.data:
        packed.__dict__["sha256"] = freight.sha256
    return receipt, unpack(data), packed


def receipt_of(message: RecordDict) -> bytes:
    """The receipt in a reply. Raises Refusal E_REPLY where there is none."""
    record = message.get(RECEIPT)
    if not isinstance(record, ConfigRecord) or not isinstance(receipt := record.get("receipt"), bytes):
        raise Refusal("E_REPLY", "The reply carries no receipt.")
    return receipt


def freight_of(message: RecordDict) -> str | None:
    """The SHA-256 of the content that comes beside a message; None where there is none.

    Raises:
        Refusal: E_REPLY for what is no SHA-256.
    """
    for name in (ORDER, RECEIPT):
        record = message.get(name)
        if isinstance(record, ConfigRecord) and FREIGHT in record:
            sha256 = record[FREIGHT]
            if not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
                raise _unreadable()
            return sha256
    return None


def ticket_of(message: RecordDict) -> str:
    """The ticket in a message's order; "" where there is none."""
    record = message.get(ORDER)
    ticket = record.get("ticket") if isinstance(record, ConfigRecord) else None
    return ticket if isinstance(ticket, str) else ""


def _packed(record: ConfigRecord, freight: Freight | None) -> Data:
    inline = record.get(CONTENT)
    if isinstance(inline, bytes):
        return inline
    if freight is None or record.get(FREIGHT) != freight.sha256:
        raise _unreadable()
    return freight.data


def check_record_names(content: RecordDict) -> None:
    """Raises Refusal E_REPLY when a record of a script has a name that messages need for themselves."""
    for name in (ORDER, RECEIPT, BEFORE):
        if name in content:
            raise Refusal("E_REPLY", f"A script's record cannot be named “{name}”.")


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
