"""The agent's main loop, with a SuperLink that says what the test wants: when it asks, and what it asks about."""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedstudy_node.agent import RUN_CHECK, Agent
from fedstudy_node.bell import Bell
from fedstudy_node.errors import AnswerLost, NotTaken, TooLarge, Unreachable
from tests.factories.agent import Node, make_node


class Fleet:
    """A connection to a SuperLink that has some messages and takes every reply."""

    node_id = 7

    def __init__(self, *runs: int) -> None:
        self.waiting = deque(message(run) for run in runs)
        self.questions = 0
        self.asked_about: list[int] = []
        self.broken: Exception | None = None
        self.not_taken: set[int] = set()
        self.too_large: set[int] = set()
        self.sent: list[int] = []

    def activate(self, previous: int | None) -> int:
        return self.node_id

    def pull(self) -> Any:
        self.questions += 1
        if self.broken is not None:
            error, self.broken = self.broken, None
            raise error
        return self.waiting.popleft() if self.waiting else None

    def send(self, reply: Any) -> int:
        if reply.run_id in self.not_taken:
            raise NotTaken("the portal has no room")
        if reply.run_id in self.too_large and hasattr(reply, "content"):
            raise TooLarge("the portal takes no content of this size")
        self.sent.append(reply.run_id)
        return 1

    def get_run(self, run_id: int) -> None:
        self.asked_about.append(run_id)

    def heartbeat_if_due(self) -> None:
        pass


class Runs(list[Any]):
    """The runs at work."""

    def preload(self) -> None:
        pass


class Desk:
    """Answers at once what it is told to answer at once; the rest goes to a script that never ends."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.taken: list[int] = []
        self._answer = answer

    def take(self, incoming: Any) -> Any:
        self.taken.append(incoming.run_id)
        return self._answer(incoming)

    def take_back(self, reply: Any) -> Any:
        return SimpleNamespace(run_id=reply.run_id)

    def stop_overdue(self) -> list[Any]:
        return []

    stop_halted = stop_overdue


def message(run: int) -> Any:
    return SimpleNamespace(run_id=run)


def run_of(number: int, *, checked_at: float) -> Any:
    now = time.monotonic()
    return SimpleNamespace(
        info=SimpleNamespace(run_id=number), job=None, child=None, checked_at=checked_at, used_at=now
    )


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return make_node(tmp_path)


def connected(
    node: Node, fleet: Fleet, runs: Runs, answer: Callable[[Any], Any] = lambda incoming: None, **more: Any
) -> Any:
    bell = Bell()
    bell.answered = True  # the portal says when a message waits: without a ring it is asked for after seconds
    parts: Any = {"fleet": fleet, "runs": runs, "desk": Desk(answer), "status": SimpleNamespace(set=lambda **_: None)}
    agent = Agent(node.home, stop=threading.Event(), wake=threading.Event(), bell=bell, **parts, **more)
    agent._connect()
    return agent


@pytest.mark.parametrize("answer", [lambda incoming: None, lambda incoming: incoming], ids=["at work", "at once"])
def test_messages_of_two_runs_are_both_found_by_one_ring(node: Node, answer: Callable[[Any], Any]) -> None:
    now = time.monotonic()
    fleet = Fleet(1, 2)
    agent = connected(node, fleet, Runs([run_of(1, checked_at=now), run_of(2, checked_at=now)]), answer)
    while fleet.waiting and time.monotonic() < now + 1:
        agent.step()
    assert agent._desk.taken == [1, 2]


def test_with_one_run_a_message_is_one_question(node: Node) -> None:
    now = time.monotonic()
    fleet = Fleet(1)
    agent = connected(node, fleet, Runs([run_of(1, checked_at=now)]))
    for _ in range(3):
        agent._exchange()
    assert (agent._desk.taken, fleet.questions) == ([1], 1)


def test_a_run_of_which_a_reply_was_taken_is_not_asked_about(node: Node) -> None:
    long_ago = time.monotonic() - 2 * RUN_CHECK
    fleet = Fleet()
    agent = connected(node, fleet, Runs([run_of(1, checked_at=long_ago), run_of(2, checked_at=long_ago)]))
    agent._outbox.append(message(1))
    agent._exchange()
    assert fleet.asked_about == [2]


@pytest.mark.parametrize(("broken", "begun"), [(AnswerLost("reset"), 1), (Unreachable("refused"), 0)])
def test_a_line_that_broke_with_a_message_on_it_lets_the_agent_begin_anew(
    node: Node, broken: Exception, begun: int
) -> None:
    told: list[bool] = []
    fleet = Fleet()
    agent = connected(node, fleet, Runs(), begin_anew=lambda: told.append(True))
    fleet.broken = broken
    agent.step()
    assert (agent._connected, told) == (False, [])
    agent._retry_at = 0.0
    agent.step()
    agent.step()
    assert (agent._connected, told) == (True, [True] * begun)


def test_a_reply_that_the_portal_does_not_take_waits_by_itself(node: Node) -> None:
    fleet = Fleet()
    agent = connected(node, fleet, Runs())
    fleet.not_taken = {1}
    agent._outbox.extend([message(1), message(2)])
    agent._exchange()
    assert (agent._connected, fleet.sent) == (True, [2])
    fleet.not_taken = set()
    agent._exchange()
    assert fleet.sent == [2]
    agent._give_again_at = 0.0
    agent._exchange()
    assert fleet.sent == [2, 1]


def test_of_a_reply_that_is_too_large_the_portal_is_told(node: Node) -> None:
    fleet = Fleet()
    agent = connected(node, fleet, Runs())
    fleet.too_large = {1}
    agent._outbox.extend([SimpleNamespace(run_id=1, content="much"), message(2)])
    agent._exchange()
    assert fleet.sent == [1, 2]
