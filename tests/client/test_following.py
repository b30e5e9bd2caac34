"""Following something until it has ended, or for so long."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fedstudy_client import FedStudyProblem, following
from fedstudy_client.following import follow


@dataclass(frozen=True)
class Look:
    number: int
    is_final: bool


class Clock:
    """Goes on by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(following, "time", clock)
    return clock


def followed(ends_at: int, seen: list[int], timeout: float) -> Look:
    looks = (Look(number, number == ends_at) for number in range(10))
    return follow(
        lambda: next(looks),
        timeout=timeout,
        every=2.0,
        progress=lambda found: seen.append(found.number),
        late=lambda found: f"look {found.number} was the last",
    )


def test_what_ends_is_told_with_every_look(clock: Clock) -> None:
    seen: list[int] = []
    assert followed(2, seen, timeout=60.0) == Look(2, is_final=True)
    assert (seen, clock.now) == ([0, 1, 2], 4.0)


def test_what_does_not_end_is_left_at_the_deadline(clock: Clock) -> None:
    seen: list[int] = []
    with pytest.raises(FedStudyProblem, match="look 3 was the last") as problem:
        followed(9, seen, timeout=5.0)
    assert (problem.value.code, seen, clock.now) == ("E_DEADLINE", [0, 1, 2, 3], 6.0)


def test_what_has_ended_at_the_deadline_has_ended() -> None:
    assert followed(0, [], timeout=-1.0).is_final
