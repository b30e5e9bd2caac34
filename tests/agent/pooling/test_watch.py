"""When a pool node works: on the portal's word, by its own clock, and not at all where it is none."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest

from fedstudy_core.errors import FedStudyError
from fedstudy_node.connecting import open_portal
from fedstudy_node.ledger import Ledger
from fedstudy_node.pooling.memory import Memory
from fedstudy_node.pooling.watch import PoolWatch
from fedstudy_node.portal import Portal
from tests.agent.pooling.conftest import Region


class Opened:
    """Opens the portal and counts how often, or has it away."""

    def __init__(self, region: Region) -> None:
        self.count = 0
        self.away = False
        self._open: Callable[[Ledger], AbstractContextManager[Portal]] = partial(open_portal, region.centre.home)

    def __call__(self, ledger: Ledger) -> AbstractContextManager[Portal]:
        self.count += 1
        if self.away:
            raise FedStudyError("E_PORTAL")
        return self._open(ledger)


@pytest.fixture
def opened(region: Region) -> Opened:
    return Opened(region)


@pytest.fixture
def watch(region: Region, opened: Opened) -> PoolWatch:
    return PoolWatch(region.centre.home, opened, threading.Event())


def test_it_works_when_something_changed_and_until_that_is_done(
    region: Region, opened: Opened, watch: PoolWatch
) -> None:
    watch.look()
    watch.tell(None)
    watch.look()
    assert opened.count == 0, "no pool node: nobody is asked"
    watch.tell(1)
    watch.look()
    assert len(region.portal.keys) == 2
    for hospital in region.hospitals:
        hospital.share()
    watch.look()
    assert (opened.count, region.centre.datasets) == (1, []), "nothing new was said"
    watch.tell(2)
    opened.away = True
    with pytest.raises(FedStudyError):
        watch.look()
    opened.away = False
    watch.look()
    assert len(region.centre.datasets) == 1
    watch.look()
    assert opened.count == 3


def test_a_node_that_is_no_pool_node_any_more_uses_nothing(region: Region, watch: PoolWatch) -> None:
    watch.tell(1)
    watch.look()
    region.share()
    watch.tell(2)
    watch.look()
    assert region.centre.datasets
    watch.tell(None)
    watch.look()
    assert region.centre.datasets == []
    assert not Memory(region.centre.home).path.exists()
    assert {entry["why"] for entry in region.centre.journal("pool_dropped")} == {"not listed any more"}


def test_nothing_is_left_in_memory_when_the_agent_stops(region: Region, opened: Opened) -> None:
    stop = threading.Event()
    watch = PoolWatch(region.centre.home, opened, stop)
    watch.tell(1)
    watch.start()
    until(lambda: len(region.portal.keys) == 2)
    for hospital in region.hospitals:
        hospital.share()
    watch.tell(2)
    until(lambda: bool(region.centre.datasets))
    path = Memory(region.centre.home).path
    assert list(path.glob("*.parquet"))
    stop.set()
    watch.hurry()
    watch.join(5)
    assert not watch.is_alive()
    assert not path.exists()


def test_an_agent_that_pools_nothing_loads_nothing_that_reads_rows() -> None:
    loaded = "import sys, fedstudy_node.supervisor; print(any(n in sys.modules for n in ('pyarrow', 'pandas')))"
    told = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, for 20 s."""
    waiting, give_up = threading.Event(), time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        waiting.wait(0.02)
