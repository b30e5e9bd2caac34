"""A node that is started again and again is one node; one that runs twice is found out. Over many histories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.registry import boots

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
lives = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 7200)), min_size=1, max_size=40)


class History:
    """What the portal remembers of a node's starts."""

    def __init__(self) -> None:
        self.rows: list[boots.Row] = []
        self.sequence = 0
        self.now = BEGIN

    def hear(self, boot: str, *, after: float = 10, sequence: int | None = None) -> bool:
        self.now += timedelta(seconds=after)
        self.sequence += 1
        number = self.sequence if sequence is None else sequence
        self.rows, cloned = boots.hear(self.rows, boot, sequence=number, now=self.now)
        return cloned


@given(lives)
def test_starts_that_follow_each_other_are_one_node(starts: list[tuple[int, int]]) -> None:
    history = History()
    for number, (beats, pause) in enumerate(starts):
        for beat in range(beats):
            assert not history.hear(f"start {number}", after=pause if beat == 0 else 10)
    assert len(history.rows) <= boots.MOST


@given(lives, st.integers(1, 5), st.integers(1, 600))
def test_a_copy_that_runs_beside_the_node_is_found_at_its_first_return(
    starts: list[tuple[int, int]], copied: int, gap: int
) -> None:
    history = History()
    for number, (beats, pause) in enumerate(starts):
        for beat in range(beats):
            history.hear(f"start {number}", after=pause if beat == 0 else 10)
    for _ in range(copied):
        assert not history.hear("the copy", after=gap), "a new start alone proves nothing"
    assert history.hear(f"start {len(starts) - 1}", after=gap)
    assert history.hear("the copy", after=gap)


@given(lives, st.data())
def test_requests_that_overtake_each_other_at_a_restart_freeze_nothing(
    starts: list[tuple[int, int]], data: st.DataObject
) -> None:
    """The old agent's last heartbeat has a lower number than the new one's, whichever is worked on first."""
    history = History()
    for number, (beats, _) in enumerate(starts):
        for _ in range(beats):
            assert not history.hear(f"start {number}", after=1)
        if number and data.draw(st.booleans()):
            assert not history.hear(f"start {number - 1}", after=0, sequence=history.sequence - beats)


def test_an_agent_that_names_no_start_is_not_judged() -> None:
    history = History()
    assert not any(history.hear(boot) for boot in ("", "a", "", "b", ""))


@pytest.mark.parametrize(("hours", "found"), [(23, True), (25, False)])
def test_what_a_day_ago_was_replaced_is_forgotten(hours: int, found: bool) -> None:
    history = History()
    history.hear("a")
    history.hear("b")
    history.now += timedelta(hours=hours)
    assert history.hear("a") is found
