"""What the node remembers."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fedstudy_node.ledger import LONGEST_TYPE, Departure, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as opened:
        yield opened


def test_a_round_counts_once_however_often_it_is_sent(ledger: Ledger) -> None:
    for number in (0, 1, 1, 2, 2, 2):
        ledger.count_message(approval="a", run="r", number=number, message="m")
    assert ledger.rounds_used(approval="a", run="r") == 2
    assert ledger.rounds_used(approval="a", run="another") == 0
    assert ledger.was_counted(approval="a", run="r", number=2)
    assert not ledger.was_counted(approval="a", run="r", number=3)


def test_only_the_very_same_message_gets_the_kept_reply(ledger: Ledger) -> None:
    ledger.keep_reply(run="r", round_=1, message_type="train", asked="x", content=[b"re", b"ply"], seconds=0.5)
    kept = ledger.kept_reply(run="r", round_=1, message_type="train", asked="x")
    assert kept is not None
    assert (kept.content, kept.seconds) == (b"reply", 0.5)
    assert ledger.kept_reply(run="r", round_=1, message_type="train", asked="another model") is None
    assert ledger.kept_reply(run="r", round_=1, message_type="evaluate", asked="x") is None


def test_old_replies_are_dropped(ledger: Ledger) -> None:
    for number in range(1, 6):
        ledger.keep_reply(run="r", round_=number, message_type="train", asked="x", content=[b"re", b"ply"], seconds=0)
    there = [
        number
        for number in range(1, 6)
        if ledger.kept_reply(run="r", round_=number, message_type="train", asked="x") is not None
    ]
    assert there == [4, 5]


def test_numbers_never_repeat_over_connections(tmp_path: Path, ledger: Ledger) -> None:
    seen: list[int] = []

    def take() -> None:
        with closing(Ledger(tmp_path / "ledger.sqlite")) as own:
            seen.extend(own.next_moment("request") for _ in range(50))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 200
    assert [ledger.next_number("receipt") for _ in range(3)] == [1, 2, 3]


def test_a_fresh_ledger_goes_on_above_the_old_ones_request_numbers(tmp_path: Path, ledger: Ledger) -> None:
    before = ledger.next_moment("request")
    with closing(Ledger(tmp_path / "restored.sqlite")) as restored:
        assert restored.next_moment("request") > before


def test_what_left_is_listed_newest_first(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.note_departure(Departure("study", "run", "7", number, "train", "approval", "done", "", 10, 20, "sha"))
    assert [departure.round for departure in ledger.departures()] == [2, 1]
    assert ledger.departures()[0].at


def test_what_left_is_told_by_run_with_its_contents(ledger: Ledger) -> None:
    for run in ("one", "two"):
        held = {"numbers": 3, "contents": '{"arrays":{},"metrics":{"loss":1}}'}
        ledger.note_departure(Departure("study", run, "7", 1, "train", "approval", "done", "", 10, 20, "sha", **held))  # type: ignore[arg-type]
    [found] = ledger.departures(run="tw")
    assert (found.run, found.numbers, found.contents[:10]) == ("two", 3, '{"arrays":')
    assert len(ledger.departures()) == 2


def test_what_leaves_is_in_the_list_and_in_the_journal_or_in_neither(tmp_path: Path, ledger: Ledger) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as hand:
        hand.execute("CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT raise(ABORT, 'full'); END")
    train = Departure("study", "run", "7", 1, "train", "approval", "done", "", 10, 20, "sha")
    with pytest.raises(sqlite3.Error, match="full"):
        ledger.note_departure(train)
    assert ledger.departures() == []
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as hand:
        hand.execute("DROP TRIGGER full")
    ledger.note_departure(replace(train, message_type="query." + "x" * 10**6))
    assert len(ledger.departures()[0].message_type) == LONGEST_TYPE


def test_a_ledger_of_an_older_agent_is_read_and_written(tmp_path: Path) -> None:
    file = tmp_path / "old.sqlite"
    with closing(Ledger(file)) as made:
        made.note_departure(Departure("study", "run", "7", 1, "train", "approval", "done", "", 10, 20, "sha"))
    with closing(sqlite3.connect(file)) as database:
        database.executescript("ALTER TABLE egress DROP COLUMN numbers; ALTER TABLE egress DROP COLUMN contents")
    with closing(Ledger(file)) as reopened:
        reopened.note_departure(Departure("study", "run", "7", 2, "train", "a", "done", "", 1, 2, "sha", numbers=5))
        assert [departure.numbers for departure in reopened.departures()] == [5, 0]
