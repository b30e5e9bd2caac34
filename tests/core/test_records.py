"""Contents on their way: packed into Flower's messages and kept as files."""

import errno
import io
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.proto.recorddict_pb2 import RecordDict as RecordDictProto
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedstudy_core import flower
from fedstudy_core.artifacts import ArtifactStore, decode_arrays, encode_arrays
from fedstudy_core.errors import Refusal
from fedstudy_core.freight import Freight

ORDER = flower.Order("study", "run", 3, "train", "train", 4, 20, "2030-01-01T00:00:00+00:00", "a" * 64, b"dsse", "data")


def content(size: int = 3) -> RecordDict:
    weights = ArrayRecord({"weight": flower.array(np.arange(size, dtype=np.float32))})
    return RecordDict(
        {"arrays": weights, "metrics": MetricRecord({"loss": 0.5, "bins": [1, 2]}), "config": ConfigRecord({"a": "b"})}
    )


def weights_of(record: RecordDict) -> np.ndarray:
    return record["arrays"]["weight"].numpy()  # type: ignore[union-attr,index]


def beside(given: RecordDict) -> Freight:
    """A content as it comes beside a message."""
    packed = flower.pack(given)
    return Freight(flower.digest_of([packed]), memoryview(packed))


@pytest.mark.parametrize("size", [3, 2_000_000])
def test_an_order_comes_back_with_its_content(size: int) -> None:
    message = flower.wrap_order(content(size), ORDER)
    assert len(flower.pack(message)) < 3000
    order, inner = flower.unwrap_order(message, beside(content(size)))
    assert order == ORDER
    assert list(inner) == ["arrays", "metrics", "config"]
    np.testing.assert_array_equal(weights_of(inner), weights_of(content(size)))


@pytest.mark.parametrize("size", [3, 2_000_000])
def test_both_ends_name_a_reply_by_the_same_hash(size: int) -> None:
    packed = flower.Packed([flower.pack(content(size))])
    receipt, inner, again = flower.unwrap_reply(flower.wrap_reply(packed, b"receipt"), beside(content(size)))
    assert (receipt, again.sha256) == (b"receipt", packed.sha256)
    assert bytes(again) == flower.pack(content(size))
    assert list(inner) == ["arrays", "metrics", "config"]


def test_a_large_content_is_read_from_what_the_message_names_and_nothing_else() -> None:
    message = flower.wrap_order(content(2_000_000), ORDER)
    assert flower.freight_of(message) == beside(content(2_000_000)).sha256
    for wrong in (None, beside(content(2_000_001))):
        with pytest.raises(Refusal, match="E_REPLY"):
            flower.unwrap_order(message, wrong)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, 7])
def test_a_content_is_named_by_a_hash(name: str | int) -> None:
    message = RecordDict({flower.RECEIPT: ConfigRecord({"receipt": b"", flower.FREIGHT: name})})
    with pytest.raises(Refusal, match="E_REPLY"):
        flower.freight_of(message)


@pytest.mark.parametrize(
    "message",
    [
        RecordDict(),
        RecordDict({flower.ORDER: MetricRecord({"a": 1})}),
        RecordDict({flower.ORDER: ConfigRecord({"study": "x"})}),
        RecordDict({flower.ORDER: ConfigRecord({**vars(ORDER), "round": "3"})}),
        RecordDict({flower.ORDER: ConfigRecord({**vars(ORDER), "more": "3"})}),
    ],
)
def test_a_message_without_a_sound_order_is_refused(message: RecordDict) -> None:
    with pytest.raises(Refusal, match="E_ORDER"):
        flower.unwrap_order(message)


def test_a_reply_from_elsewhere_is_refused() -> None:
    for message in (content(), RecordDict({flower.RECEIPT: ConfigRecord({"receipt": b"", "content": b"\xff\xff"})})):
        with pytest.raises(Refusal, match="E_REPLY"):
            flower.unwrap_reply(message)


def test_an_error_reply_carries_code_and_receipt() -> None:
    error = flower.parse_error_reason(flower.error_reason("E_BUNDLE", "Not approved.", b"dsse"))
    assert error == flower.NodeError("E_BUNDLE", "Not approved.", b"dsse")
    for text in ("", "{}", "null", '{"code": 1, "detail": 2, "receipt": "%"}'):
        with pytest.raises(Refusal, match="E_REPLY"):
            flower.parse_error_reason(text)


@given(
    st.lists(
        arrays.arrays(
            st.sampled_from([np.float32, np.float64, np.int64]), arrays.array_shapes(min_dims=0, max_dims=3, max_side=3)
        ),
        max_size=4,
    )
)
def test_parameters_come_back_from_their_file_in_order(values: list[np.ndarray]) -> None:
    named = {f"{9 - position}": value for position, value in enumerate(values)}
    data = encode_arrays(named)
    assert encode_arrays(named) == data
    little = {name: np.asarray(array, array.dtype.newbyteorder("<")) for name, array in named.items()}
    plain = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in little.items()}
    assert data == safetensors.numpy.save(plain, metadata={"order": json.dumps(list(named))})
    again = decode_arrays(data)
    assert list(again) == list(named)
    for name, value in named.items():
        np.testing.assert_array_equal(again[name], value)
        assert again[name].dtype == value.dtype
        assert again[name].shape == value.shape


@pytest.mark.parametrize("data", [b"", b"x" * 7, b"\x80\x04K\x01.", (2**62).to_bytes(8, "little") + b"{}"])
def test_other_bytes_are_no_parameters(data: bytes) -> None:
    with pytest.raises(Refusal, match="E_ARTIFACT"):
        decode_arrays(data)


def test_the_store_notices_an_altered_file(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    name = store.put(b"parameters")
    assert store.put(b"parameters") == name
    assert store.get(name) == b"parameters"
    (tmp_path / name[:2] / name).write_bytes(b"altered")
    with pytest.raises(Refusal, match="E_ARTIFACT"):
        store.get(name)
    store.delete(name)
    with pytest.raises(Refusal, match="E_ARTIFACT_MISSING"):
        store.get(name)
    for path in ("../../etc/passwd", "A" * 64, ""):
        with pytest.raises(Refusal):
            store.get(path)


@pytest.mark.parametrize(
    "named",
    [
        {"a\nb": np.ones(2), "c": np.zeros((0, 3))},
        {"ü": np.array(1.5), "": np.ones((2, 3)).T},
        {"big": np.arange(3, dtype=">f4")},
        {},
    ],
)
def test_any_name_and_layout_comes_back(named: dict[str, np.ndarray]) -> None:
    again = decode_arrays(encode_arrays(named))
    assert list(again) == list(named)
    for name, value in named.items():
        np.testing.assert_array_equal(again[name], value)


@pytest.mark.parametrize("value", [np.array([None]), np.array([1j]), np.array(["text"])])
def test_only_plain_real_numbers_are_kept(value: np.ndarray) -> None:
    with pytest.raises(Refusal, match="E_ARTIFACT"):
        encode_arrays({"x": value})


@pytest.mark.parametrize("order", ['["a"]', '["a", "a", "b"]', '["a", "x"]', "3", "{", '[["a"], "b"]', "[" * 9999])
def test_an_order_that_names_other_arrays_is_refused(order: str) -> None:
    data = safetensors.numpy.save({"a": np.ones(1), "b": np.ones(1)}, metadata={"order": order})
    try:
        assert set(decode_arrays(data)) == {"a", "b"}
    except Refusal as refusal:
        assert refusal.code == "E_ARTIFACT"


def test_parameters_that_others_wrote_are_read_too() -> None:
    assert list(decode_arrays(safetensors.numpy.save({"a": np.ones(1)}))) == ["a"]


def test_the_store_heals_a_damaged_file_when_it_gets_the_bytes_again(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    name = store.put(b"parameters")
    for damage in (b"", b"parametexs"):
        (tmp_path / name[:2] / name).write_bytes(damage)
        assert store.put(b"parameters") == name
        assert store.get(name) == b"parameters"
    assert [path.name for path in (tmp_path / name[:2]).iterdir()] == [name]


def npy(value: object = 0.0, *, header: bytes | None = None, data: bytes | None = None) -> bytes:
    """A file in NumPy's format, its header or data replaced."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(value))
    whole = buffer.getvalue()
    length = int.from_bytes(whole[8:10], "little")
    head = whole[10 : 10 + length] if header is None else header
    return whole[:8] + len(head).to_bytes(2, "little") + head + (whole[10 + length :] if data is None else data)


def sent(data: bytes, stype: str = "numpy.ndarray") -> ArrayRecord:
    return ArrayRecord({"x": Array("float64", (1,), stype, data)})


BOMB = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}"


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (sent(npy(header=BOMB)), "E_REPLY"),
        (sent(npy(header=BOMB.replace(b"(1099511627776,)", b"(-1, -8)"))), "E_REPLY"),
        (sent(npy(header=BOMB.replace(b"(1099511627776,)", b"(True,)"))), "E_REPLY"),
        (sent(npy(header=BOMB.replace(b"(1099511627776,)", b"(0, %d, %d)" % (2**40, 2**40)), data=b"")), "E_REPLY"),
        (sent(npy(header=BOMB.replace(b"(1099511627776,)", b"(0,)" + b" " * 5000))), "E_REPLY"),
        (sent(npy(header=BOMB.replace(b"'<f8'", b"'|O'"))), "E_UPDATE_DTYPE"),
        (sent(npy(header=BOMB.replace(b"'<f8'", b"'<U8'"))), "E_UPDATE_DTYPE"),
        (sent(npy(header=BOMB.replace(b"'<f8'", b"'nonsense'"))), "E_REPLY"),
        (sent(npy(header=BOMB.replace(b"'<f8'", b"[('a', '<f8')]"))), "E_REPLY"),
        (sent(npy(header=b"__import__('os').abort()")), "E_REPLY"),
        (sent(npy(header=b"(" * 2000)), "E_REPLY"),
        (sent(npy(data=b"1234567")), "E_REPLY"),
        (sent(npy() + b"more"), "E_REPLY"),
        (sent(b""), "E_REPLY"),
        (sent(b"\x93NUMPY\x09\x00"), "E_REPLY"),
        (sent(npy(), stype="torch"), "E_REPLY"),
    ],
)
def test_an_array_whose_header_lies_is_refused(record: ArrayRecord, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        flower.arrays_of(record)
    assert refusal.value.code == code


@given(
    arrays.arrays(
        st.sampled_from(["<f2", "<f4", "<f8", ">f4", "<i8", "u1", "?"]), arrays.array_shapes(min_dims=0, max_side=3)
    ),
    st.booleans(),
)
def test_arrays_are_read_as_numpy_reads_them(value: np.ndarray, fortran: bool) -> None:
    value = np.asarray(value, order="F" if fortran else "C")
    again = flower.arrays_of(ArrayRecord({"x": flower.array(value)}))["x"]
    np.testing.assert_array_equal(again, value)
    assert (again.dtype, again.shape) == (value.dtype, value.shape)


@given(st.binary(max_size=80))
def test_any_bytes_are_an_array_or_refused(data: bytes) -> None:
    for raw in (data, b"\x93NUMPY\x01\x00" + data):
        with pytest.raises(Refusal):
            flower.arrays_of(sent(raw))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_content_or_refused(data: bytes) -> None:
    try:
        flower.unpack(data)
    except Refusal as refusal:
        assert refusal.code == "E_REPLY"


def test_a_value_of_no_known_kind_is_refused() -> None:
    """Protobuf reads an unknown field over, and leaves a value without any kind."""
    without_kind = RecordDictProto()
    without_kind.items.add(key="metrics").metric_record.items.add(key="loss")
    with pytest.raises(Refusal, match="E_REPLY"):
        flower.unpack(without_kind.SerializeToString())


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_content_is_read_or_refused(position: int, change: int) -> None:
    packed = bytearray(flower.pack(content()))
    packed[position % len(packed)] ^= change
    try:
        flower.unpack(bytes(packed))
    except Refusal as refusal:
        assert refusal.code == "E_REPLY"


def test_a_scripts_own_record_cannot_take_the_receipts_place() -> None:
    forged = RecordDict({flower.RECEIPT: ConfigRecord({"receipt": b"forged"})})
    receipt, inner, _ = flower.unwrap_reply(flower.wrap_reply(flower.Packed([flower.pack(forged)]), b"receipt"))
    assert (receipt, inner) == (b"receipt", forged)


def test_much_text_travels_beside_too() -> None:
    wordy = RecordDict({"config": ConfigRecord({"text": "x" * (flower.INLINE_LIMIT + 1)})})
    message = flower.wrap_reply(flower.Packed([flower.pack(wordy)]), b"receipt")
    assert flower.freight_of(message) == beside(wordy).sha256


def test_an_error_reply_of_any_depth_is_refused() -> None:
    with pytest.raises(Refusal, match="E_REPLY"):
        flower.parse_error_reason("[" * 100_000)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fedstudy_core.artifacts.os.fsync", full)
    store = ArtifactStore(tmp_path)
    with pytest.raises(OSError, match="No space"):
        store.put(b"parameters")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    name = store.put(b"parameters", durable=False)
    assert store.exists(name)


def test_an_array_that_is_only_looked_at_travels_as_its_own_bytes() -> None:
    values = {
        "w": np.arange(12, dtype=np.float32).reshape(3, 4),
        "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "none": np.zeros((0, 3)),
        "one": np.array(7, np.int64),
    }
    copied = flower.record_of({name: flower.array(value) for name, value in values.items()})
    viewed = flower.record_of({name: flower.viewed(value) for name, value in values.items()})
    pieces = flower.pieces_of(RecordDict({"arrays": viewed}))
    assert b"".join(pieces) == flower.pack(RecordDict({"arrays": copied}))
    assert any(np.shares_memory(np.frombuffer(piece, np.uint8), values["w"]) for piece in pieces if len(piece) == 48)


def test_viewed_arrays_are_alike_when_their_numbers_are() -> None:
    one = np.arange(3.0)
    assert flower.viewed(one) == flower.viewed(one) == flower.viewed(one.copy())
    assert flower.viewed(one) != flower.viewed(one + 1)
    assert flower.viewed(one) != flower.viewed(one.astype(np.float32))
