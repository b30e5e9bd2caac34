"""The portal's time corrects the node's, within bounds."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from fedstudy_node.clock import Clock, warning

TRUE = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)


class Machine:
    """A machine whose clock is off, and a portal whose clock is right."""

    def __init__(self, off: float) -> None:
        self.passed, self.off = 0.0, off
        self.clock = Clock(lambda: self.true + timedelta(seconds=self.off), lambda: self.passed)

    @property
    def true(self) -> datetime:
        return TRUE + timedelta(seconds=self.passed)

    def hear(self, date: str | None = None) -> None:
        text = format_datetime(self.true.replace(microsecond=0), usegmt=True) if date is None else date
        self.clock.hear(httpx.Response(200, headers={"Date": text}))

    def error(self) -> float:
        """By how many seconds the corrected time is ahead of the true one."""
        return (self.clock.now() - self.true).total_seconds()


@pytest.mark.parametrize("off", [-599, -300, -6, -1, 0, 1, 6, 60, 300, 599])
def test_a_clock_that_is_off_is_corrected(off: float) -> None:
    machine = Machine(off)
    assert machine.error() == off
    machine.hear()
    for passed in (0.0, 0.4, 30.0, 3600.0):
        machine.passed = passed
        assert abs(machine.error()) <= 1
        assert abs(machine.clock.off_s() - off) <= 1


@pytest.mark.parametrize("off", [-3600, -602, 602, 86400])
def test_a_portal_moves_the_time_by_ten_minutes_at_most(off: float) -> None:
    machine = Machine(off)
    machine.hear()
    assert machine.error() == off
    assert abs(machine.clock.off_s() - off) <= 1, "and the warning still tells by how much"


def test_a_clock_that_is_set_right_is_no_longer_corrected_wrongly() -> None:
    machine = Machine(200)
    machine.hear()
    machine.off = 0
    assert abs(machine.error()) <= 1
    assert abs(machine.clock.off_s()) <= 1


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 31 Feb 2030 00:00:00 GMT"])
def test_what_is_no_time_is_not_heard(date: str) -> None:
    machine = Machine(60)
    machine.hear(date)
    assert machine.error() == 60


@pytest.mark.parametrize(("off", "said"), [(2, ""), (-2, ""), (3, "3 s ahead"), (-400, "400 s behind")])
def test_people_are_warned_beyond_two_seconds(off: int, said: str) -> None:
    assert said in warning(off)
    assert bool(warning(off)) == bool(said)
