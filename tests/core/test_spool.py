"""Large bodies in files, and what of them is in memory."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from fedstudy_core.artifacts import ArtifactStore, decode_arrays, digest_of, encode_arrays, pieces_of
from fedstudy_core.errors import Refusal
from fedstudy_core.spool import Mapped, Spool, let_go, mapping_of

MB = 1_000_000


def resident_kb(mapped: object) -> int:
    """Kilobytes of a mapping that are in this process' memory."""
    at = np.frombuffer(mapped, np.uint8).ctypes.data  # type: ignore[call-overload]
    told = re.search(rf"^{at:x}-.*?^Rss: +(\d+) kB", Path("/proc/self/smaps").read_text(), re.M | re.S)
    assert told is not None
    return int(told[1])


def test_what_was_looked_at_is_let_go_and_can_be_read_again(tmp_path: Path) -> None:
    body = os.urandom(8 * MB)
    spool = Spool(tmp_path)
    spool.write(body)
    whole = spool.whole()
    numbers = np.frombuffer(whole[8:], np.uint8)
    total = numbers.sum()
    assert resident_kb(whole.obj) > 7000
    let_go(numbers, b"not in a file", None)
    assert resident_kb(whole.obj) == 0
    assert numbers.sum() == total


def test_a_digest_holds_a_part_at_a_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(bytes(64 * MB))
    whole = spool.whole()
    assert digest_of([whole]) == digest_of([bytes(64 * MB)])
    assert resident_kb(whole.obj) == 0


def test_kept_arrays_are_views_of_their_file(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    arrays = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "none": np.zeros((0, 4)),
        "b": np.array(True),
        "k": np.arange(3, dtype=np.int8),
        "h": np.arange(3, dtype=np.float16),
    }
    sha256 = store.put(pieces_of(arrays))
    kept, read = store.arrays(sha256), decode_arrays(encode_arrays(arrays))
    assert list(kept) == list(read) == list(arrays)
    for name, array in read.items():
        assert kept[name].dtype == array.dtype
        assert kept[name].shape == array.shape
        assert np.array_equal(kept[name], array)
    assert isinstance(mapping_of(kept["w"]), Mapped)


@pytest.mark.parametrize("text", [b"", b"x" * 40, (2).to_bytes(8, "little") + b"{}", b"\xff" * 9])
def test_what_holds_no_arrays_is_refused(tmp_path: Path, text: bytes) -> None:
    store = ArtifactStore(tmp_path)
    sha256 = store.put(text or b" ")
    with pytest.raises(Refusal, match="safetensors"):
        store.arrays(sha256)
