"""Contents on their way: packed into Flower's messages and kept as files."""

from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedstudy_core import flower
from fedstudy_core.artifacts import ArtifactStore, decode_arrays, encode_arrays
from fedstudy_core.errors import Refusal

ORDER = flower.Order("study", "run", 3, "train", "train", 4, 20, "2030-01-01T00:00:00+00:00", "a" * 64, b"dsse", "data")


def content(size: int = 3) -> RecordDict:
    weights = ArrayRecord({"weight": flower.array(np.arange(size, dtype=np.float32))})
    return RecordDict(
        {"arrays": weights, "metrics": MetricRecord({"loss": 0.5, "bins": [1, 2]}), "config": ConfigRecord({"a": "b"})}
    )


def weights_of(record: RecordDict) -> np.ndarray:
    return record["arrays"]["weight"].numpy()  # type: ignore[union-attr,index]


@pytest.mark.parametrize(("size", "records"), [(3, 1), (2_000_000, 4)])
def test_an_order_comes_back_with_its_content(size: int, records: int) -> None:
    message = flower.wrap_order(content(size), ORDER)
    assert len(message) == records
    order, inner = flower.unwrap_order(message)
    assert order == ORDER
    assert list(inner) == ["arrays", "metrics", "config"]
    np.testing.assert_array_equal(weights_of(inner), weights_of(content(size)))


@pytest.mark.parametrize("size", [3, 2_000_000])
def test_both_ends_name_a_reply_by_the_same_hash(size: int) -> None:
    packed = flower.pack(content(size))
    receipt, inner, again, sha256 = flower.unwrap_reply(flower.wrap_reply(content(size), packed, b"receipt"))
    assert (receipt, again) == (b"receipt", packed)
    assert sha256 == flower.digest(packed)
    assert list(inner) == ["arrays", "metrics", "config"]


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
