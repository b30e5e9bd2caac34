"""The node's own audit log: only added to, and a chain that shows what was done to it."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fedstudy_core.errors import FedStudyError
from fedstudy_node.journal import EMPTY_HEAD
from fedstudy_node.ledger import Departure, Ledger

UNPROTECTED = "DROP TRIGGER journal_next; DROP TRIGGER journal_kept; DROP TRIGGER journal_whole;"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as opened:
        for number in range(1, 6):
            opened.journal.append("paused" if number % 2 else "resumed", "node", {"reason": f"number {number}"})
        yield opened


def refused(ledger: Ledger) -> str:
    with pytest.raises(FedStudyError) as found:
        ledger.journal.verify()
    assert found.value.code == "E_JOURNAL"
    return found.value.detail


def test_rows_are_numbered_and_chained(ledger: Ledger) -> None:
    newest = ledger.journal.entries(1)[0]
    assert (newest.sequence, newest.kind, dict(newest.detail)) == (5, "paused", {"reason": "number 5"})
    assert ledger.journal.head() == ledger.journal.verify()
    assert ledger.journal.head().head == newest.head


def test_an_empty_journal_has_a_head_too(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "empty.sqlite")) as ledger:
        assert ledger.journal.verify().model_dump() == {"sequence": 0, "head": EMPTY_HEAD}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET body = '{}'",
        "DELETE FROM journal WHERE sequence = 5",
        "INSERT INTO journal VALUES (7, '{}', 'x')",
        "INSERT INTO journal VALUES (3, '{}', 'x')",
        "INSERT OR REPLACE INTO journal VALUES (3, '{}', 'x')",
    ],
)
def test_the_database_refuses_anything_but_the_next_row(tmp_path: Path, ledger: Ledger, statement: str) -> None:
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    with closing(other), pytest.raises(sqlite3.IntegrityError, match="only added to"):
        other.execute(statement)
    assert ledger.journal.verify().sequence == 5


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("UPDATE journal SET body = replace(body, 'number 3', 'number 9') WHERE sequence = 3", 3),
        ("DELETE FROM journal WHERE sequence = 2", 2),
        ("UPDATE journal SET sequence = sequence + 1 WHERE sequence = 5", 5),
        ("UPDATE journal SET head = 'x' WHERE sequence = 1", 1),
    ],
)
def test_what_the_files_owner_altered_shows(tmp_path: Path, ledger: Ledger, statement: str, first: int) -> None:
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    with closing(other):
        other.executescript(UNPROTECTED)
        other.execute(statement)
    assert f"row {first} " in refused(ledger)


def test_a_head_tells_that_the_end_was_cut_off_and_written_anew(tmp_path: Path, ledger: Ledger) -> None:
    witnessed = ledger.journal.head()
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    with closing(other):
        other.executescript(UNPROTECTED)
        other.execute("DELETE FROM journal WHERE sequence = 5")
    rewritten = ledger.journal.append("paused", "node", {"reason": "another"})
    assert ledger.journal.verify() == rewritten
    assert rewritten.sequence == witnessed.sequence
    assert rewritten.head != witnessed.head


def test_many_hands_write_one_chain(tmp_path: Path, ledger: Ledger) -> None:
    def write() -> None:
        with closing(Ledger(tmp_path / "ledger.sqlite")) as own:
            for _ in range(25):
                own.journal.append("answered", "run")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.journal.verify().sequence == 105


def test_no_text_keeps_a_row_from_being_written(ledger: Ledger) -> None:
    ledger.journal.append("vetoed", "run\x00", {"reason": "\u202eevil\x1b[31m" + "x" * 9999, "count": 3, "none": None})
    newest = ledger.journal.entries(1)[0]
    assert "\u202e" not in newest.detail["reason"]  # type: ignore[operator]
    assert len(str(newest.detail["reason"])) == 500
    assert json.dumps(newest.subject) == '"run\\ufffd"'
    ledger.journal.verify()
    with pytest.raises(ValueError, match="kind"):
        ledger.journal.append("Not a kind", "")


def test_every_answer_is_a_row(ledger: Ledger) -> None:
    head = ledger.note_departure(Departure("s", "r", "7", 2, "train", "a", "refused", "E_PAUSED", 10, 0, ""))
    newest = ledger.journal.entries(1)[0]
    assert (newest.sequence, newest.kind, newest.subject, newest.detail["code"]) == (6, "refused", "r", "E_PAUSED")
    assert head.head == newest.head
