"""The pipe between agent and script."""

import os
import struct
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core.sandbox.frames import (
    MAX_HEADER,
    Frame,
    FrameError,
    FrameReader,
    FrameStream,
    FrameWriter,
    PipeClosed,
)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none()),
            st.binary(max_size=2000),
        ),
        max_size=8,
    )
)
def test_whatever_is_written_is_read(frames: list[tuple[dict[str, object], bytes]]) -> None:
    reader, writer = os.pipe()
    try:
        out, into = FrameWriter(writer), FrameReader(reader)
        for header, body in frames:
            out.put(Frame(header, body))
        assert out.flush()
        for header, body in frames:
            frame = into.read_one()
            assert (frame.header, bytes(frame.body)) == (header, body)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_frame_larger_than_the_pipe_goes_in_parts(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    for descriptor in pipe:
        os.set_blocking(descriptor, False)
    body = os.urandom(5_000_000)
    out, into = FrameWriter(writer), FrameReader(reader)
    out.put(Frame({"kind": "big"}, body))
    out.put(Frame({"kind": "next"}))
    done, frames = False, []
    while not done:
        done = out.flush()
        frames += into.read_ready()
    frames += into.read_ready()
    assert [frame.kind for frame in frames] == ["big", "next"]
    assert bytes(frames[0].body) == body


def test_many_large_frames_are_not_read_at_once(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.set_blocking(reader, False)
    out, into = FrameWriter(writer), FrameReader(reader, max_body=1000)
    for number in range(4):
        out.put(Frame({"number": number}, bytes(800)))
    out.flush()
    parts = [[frame.header["number"] for frame in into.read_ready()] for _ in range(3)]
    assert parts == [[0, 1], [2, 3], []]


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack(">IQ", MAX_HEADER + 1, 0),
        struct.pack(">IQ", 2, 10**12),
        struct.pack(">IQ", 3, 0) + b"abc",
        struct.pack(">IQ", 2, 0) + b"[]",
        struct.pack(">IQ", 4, 0) + b"\xff\xfe\x00\x01",
    ],
    ids=["long header", "long body", "no JSON", "no object", "no text"],
)
def test_nonsense_is_refused_before_it_is_stored(pipe: tuple[int, int], raw: bytes) -> None:
    reader, writer = pipe
    os.write(writer, raw)
    with pytest.raises(FrameError):
        FrameReader(reader, max_body=1000).read_one()


def test_a_closed_pipe_is_told_after_what_came_before(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    out = FrameWriter(writer)
    out.put(Frame({"kind": "last"}))
    out.flush()
    os.close(writer)
    os.set_blocking(reader, False)
    into = FrameReader(reader)
    assert [frame.kind for frame in into.read_ready()] == ["last"]
    with pytest.raises(PipeClosed):
        into.read_ready()


@pytest.fixture
def stream(pipe: tuple[int, int]) -> tuple[FrameStream, Callable[..., None]]:
    """The script's end of the pipe, and what writes frames into the other one meanwhile."""
    out = FrameWriter(pipe[1])

    def write(*frames: Frame) -> None:
        for frame in frames:
            out.put(frame)
        Thread(target=out.flush, daemon=True).start()

    return FrameStream(pipe[0]), write


def test_a_body_is_read_in_parts_of_its_readers_choice(stream: tuple[FrameStream, Callable[..., None]]) -> None:
    source, write = stream
    body = os.urandom(3_000_000)
    write(Frame({"kind": "call"}, body[:10], (body[10:],)), Frame({"kind": "empty"}))
    assert (source.next().kind, source.left) == ("call", len(body))
    parts = [source.read(7), source.read(2_000_000), source.read(source.left)]
    assert b"".join(parts) == body
    assert all(type(part) is bytes for part in parts)
    assert (source.next().kind, source.left) == ("empty", 0)


def test_what_nobody_read_of_a_body_is_passed_over(stream: tuple[FrameStream, Callable[..., None]]) -> None:
    source, write = stream
    write(Frame({"kind": "call"}, bytes(3_000_000)), Frame({"kind": "next"}, b"body"))
    source.next()
    source.read(1_000)
    assert source.next().kind == "next"
    with pytest.raises(FrameError):
        source.read(5)
    assert source.read(4) == b"body"


def test_a_body_that_ends_early_is_told(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.write(writer, struct.pack(">IQ", 2, 9) + b"{}" + b"half")
    os.close(writer)
    source = FrameStream(reader)
    source.next()
    with pytest.raises(PipeClosed):
        source.read(9)
