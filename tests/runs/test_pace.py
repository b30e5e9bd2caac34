"""Looks for replies are seldom while sites train and often when answers are due."""

from types import SimpleNamespace

from federation.runs import pace


def test_pauses_grow_while_nothing_moves_and_shrink_when_something_does() -> None:
    rhythm = pace.Pace()
    round_ = SimpleNamespace(pk=1, phase="train")
    pauses = [rhythm.next_pause(round_, moved=False) for _ in range(40)]  # type: ignore[arg-type]
    assert pauses == sorted(pauses)
    assert pauses[-1] == pace.LONGEST_S
    assert rhythm.next_pause(round_, moved=True) == pace.FIRST_S  # type: ignore[arg-type]


def test_the_next_round_waits_for_most_of_what_the_last_one_took(monkeypatch) -> None:
    clock = iter([0.0, 2.0, 10.0])
    monkeypatch.setattr(pace.time, "monotonic", lambda: next(clock))
    rhythm = pace.Pace()
    rhythm.next_pause(SimpleNamespace(pk=1, phase="train"), moved=True)  # type: ignore[arg-type]
    rhythm.next_pause(SimpleNamespace(pk=1, phase="train"), moved=True)  # type: ignore[arg-type]
    assert rhythm.next_pause(SimpleNamespace(pk=2, phase="train"), moved=True) == pace.EXPECTED_SHARE * 2.0  # type: ignore[arg-type]
