"""The bell that the agent's main loop hears, and the connection that rings it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedstudy_node import wakes
from fedstudy_node.bell import Bell
from fedstudy_node.errors import NodeError
from fedstudy_node.pace import LONGEST_IDLE, WOKEN, Pace
from fedstudy_node.wakes import Wakes
from tests.factories.agent import make_node


def test_many_rings_are_heard_as_one() -> None:
    bell = Bell()
    assert not bell.hear()
    for _ in range(100_000):
        bell.ring()
    assert bell.hear()
    while bell.hear():
        pass
    bell.close()


def test_who_is_woken_asks_seldom() -> None:
    pace = Pace()
    assert pace.delay(in_run=True, woken=True) == WOKEN
    assert pace.delay(in_run=True) < LONGEST_IDLE < WOKEN


class FakePortal:
    """A portal whose events are given."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    @contextmanager
    def events(self) -> Iterator[Iterator[str]]:
        yield iter(self.lines)
        raise NodeError("E_PORTAL", "The portal's events have ended.")


@pytest.mark.parametrize(
    ("lines", "rings"),
    [
        ([": connected"], 1),
        ([": connected", "", ": alive", ""], 1),
        ([": connected", "", "event: message", "data:", "", "event: message"], 3),
        ([": connected", "", "event: news", "data:", "", "event: message"], 2),
    ],
)
def test_it_rings_once_connected_and_for_every_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], rings: int
) -> None:
    bell, stop, rung, asked = Bell(), threading.Event(), [], []
    monkeypatch.setattr(bell, "ring", lambda: rung.append(bell.answered))

    @contextmanager
    def portal(*_: object) -> Iterator[FakePortal]:
        yield FakePortal(lines)

    monkeypatch.setattr(wakes, "open_portal", portal)
    thread = Wakes(make_node(tmp_path).home, bell, stop, lambda: asked.append(True))
    monkeypatch.setattr(wakes, "FIRST_RETRY", 0.0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stop, "wait", lambda *_: stop.set())
        thread.run()
    assert rung == [True] * rings
    assert len(asked) == lines.count("event: news")
    assert not bell.answered, "the node asks by itself again"
