"""How often the agent asks."""

import pytest

from fedstudy_node.pace import LONGEST_IDLE, LONGEST_IN_RUN, SHORTEST, Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def questions(pace: Pace, clock: Clock, gap: float) -> tuple[int, float]:
    """Ask until a message is there, `gap` seconds from now: how many questions, and how late it was found."""
    due, count = clock.now + gap, 0
    while True:
        clock.now += pace.delay(in_run=True)
        count += 1
        if clock.now >= due:
            return count, clock.now - due


def test_a_new_run_is_found_late_by_a_share_of_the_wait() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.mark_sent()
    _, late = questions(pace, clock, 0.5)
    assert late < 0.1


def test_rounds_of_equal_length_take_few_questions() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(8):
        pace.mark_sent()
        count, late = questions(pace, clock, 0.3)
        pace.mark_received()
    assert count <= 4
    assert late < 0.06


def test_a_round_that_comes_sooner_than_expected_is_learned_at_once() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.mark_sent()
    clock.now += 5
    pace.mark_received()
    pace.mark_sent()
    clock.now += 0.1
    pace.mark_received()
    pace.mark_sent()
    assert pace.delay(in_run=True) <= 0.1


@pytest.mark.parametrize(("in_run", "longest"), [(True, LONGEST_IN_RUN), (False, LONGEST_IDLE)])
def test_the_wait_is_bounded(in_run: bool, longest: float) -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.delay(in_run=in_run) == SHORTEST
    clock.now += 3600
    assert pace.delay(in_run=in_run) == longest
