"""Waiting for descriptors of any number."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterator

import pytest

from fedstudy_core.readiness import readable, writable

HIGH = 1_500


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose ends have numbers beyond those that `select` takes."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= HIGH + 2:
        pytest.skip("not so many files may be open here")
    low = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, HIGH) for end in low)
    for end in low:
        os.close(end)
    yield high[0], high[1]
    for end in high:
        os.close(end)


def test_what_is_there_can_be_read(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    assert readable([reads], 0) == []
    assert writable(writes, 0)
    os.write(writes, b"x")
    assert readable([reads]) == [reads]


def test_an_end_counts_as_something_to_read() -> None:
    reads, writes = os.pipe()
    os.close(writes)
    assert readable([reads], 0) == [reads]
    os.close(reads)
