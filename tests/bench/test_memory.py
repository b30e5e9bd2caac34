"""Memory that several processes share is counted once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.memory import together_mb

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

FILLED = 100_000_000
FORKING = f"""
import os, sys
filled = bytearray(b"x") * {FILLED}
forked = os.fork()
if forked == 0:
    sys.stdin.read()
    os._exit(0)
print(forked, flush=True)
sys.stdin.read()
os.kill(forked, 9)
"""


@contextmanager
def standing() -> Iterator[tuple[int, int]]:
    """A process that has filled its memory, and one that was forked from it."""
    with subprocess.Popen([sys.executable, "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate()


def test_what_a_forked_process_shares_counts_once() -> None:
    with standing() as (first, forked):
        whole = together_mb([first, forked])
        assert FILLED / 1e6 < whole < FILLED / 1e6 * 1.3
        assert together_mb([forked]) == pytest.approx(FILLED / 2e6, rel=0.3)


def test_files_count_by_the_process_that_has_most_of_them() -> None:
    with standing() as (first, _), standing() as (second, _):
        alone = together_mb([first])
        assert alone < together_mb([first, second]) < 2 * alone - 1


def test_a_process_that_has_ended_counts_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert together_mb([gone.pid, os.getpid()]) == pytest.approx(together_mb([os.getpid()]), rel=0.05)
