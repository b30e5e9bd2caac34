"""Sealing: what is opened is what was sealed, by those it was sealed for; anything else does not open."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedstudy_core.errors import Refusal
from fedstudy_node.pooling import sealing
from fedstudy_node.pooling.sealing import make_key, open_sealed, seal
from tests.factories.consents import POOL_KEY, RECOVERY, refused

CHUNK = 64 * 1024
TAG = 16
PLAIN = bytes(range(256)) * 1024  # four chunks


def sealed(plain: bytes = PLAIN) -> bytes:
    into = io.BytesIO()
    seal(plain, into, [POOL_KEY.recipient, RECOVERY.recipient])
    return into.getvalue()


def opened(cipher: bytes, secret: str = POOL_KEY.secret) -> bytes:
    return open_sealed(io.BytesIO(cipher), secret)


def body(cipher: bytes) -> int:
    """Where the chunks begin: after the header and the nonce of 16 bytes."""
    return cipher.index(b"\n", cipher.index(b"\n--- ") + 1) + 1 + 16


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=3000) | st.integers(0, 4).map(lambda chunks: b"x" * (chunks * CHUNK)))
def test_both_recipients_open_what_was_sealed(plain: bytes) -> None:
    cipher = sealed(plain)
    assert opened(cipher) == opened(cipher, RECOVERY.secret) == plain
    assert len(plain) < 16 or plain not in cipher


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 255))
def test_no_altered_byte_goes_unseen(place: int, change: int) -> None:
    cipher = bytearray(sealed(b"rows of patients " * 20))
    cipher[place % len(cipher)] ^= change
    assert refused(lambda: opened(bytes(cipher))) == "E_SEALED"


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9))
def test_no_cut_goes_unseen(length: int) -> None:
    cipher = sealed()
    assert refused(lambda: opened(cipher[: length % len(cipher)])) == "E_SEALED"


@pytest.mark.parametrize(
    "others",
    [
        lambda head, chunks: [head, chunks[1], chunks[0], *chunks[2:]],
        lambda head, chunks: [head, chunks[0], chunks[0], *chunks[1:]],
        lambda head, chunks: [head, *chunks, chunks[-1]],
        lambda head, chunks: [head, *chunks[:-1]],
        lambda head, chunks: [head, *chunks[1:]],
        lambda head, chunks: [head, *chunks, head, *chunks],
        lambda head, chunks: [head, *chunks, b"\0"],
    ],
    ids=["reordered", "doubled", "last doubled", "last cut off", "first cut off", "whole doubled", "longer"],
)
def test_chunks_stay_where_they_are(others: object) -> None:
    cipher = sealed()
    begin, step = body(cipher), CHUNK + TAG
    chunks = [cipher[at : at + step] for at in range(begin, len(cipher), step)]
    assert len(chunks) == 4
    assert refused(lambda: opened(b"".join(others(cipher[:begin], chunks)))) == "E_SEALED"  # type: ignore[operator]


def test_nobody_else_opens_it() -> None:
    assert refused(lambda: opened(sealed(), make_key().secret)) == "E_SEALED"
    assert refused(lambda: opened(sealed(), "AGE-SECRET-KEY-1")) == "E_KEY"
    assert refused(lambda: seal(b"", io.BytesIO(), ["age1nobody"])) == "E_KEY"
    assert refused(lambda: opened(b"age,sex\n63,1\n")) == "E_SEALED"


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    cipher = sealed()
    monkeypatch.setattr(sealing, "MOST_PLAIN", len(PLAIN) - 1)
    assert refused(lambda: opened(cipher)) == "E_TOO_LARGE"
    assert refused(lambda: seal(PLAIN, io.BytesIO(), [POOL_KEY.recipient])) == "E_TOO_LARGE"


def test_a_full_disk_shows() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    for size in (10, len(PLAIN)):
        with pytest.raises(OSError, match="No space"):
            seal(PLAIN[:size], Full(), [POOL_KEY.recipient])


def test_a_refusal_says_nothing_of_the_rows() -> None:
    with pytest.raises(Refusal) as caught:
        opened(sealed()[:-1])
    assert caught.value.__cause__ is not None
    assert "rows" not in str(caught.value.__cause__)
