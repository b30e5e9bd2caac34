"""The node's memory of what ran here and what left: one SQLite file.

It counts the rounds that each approval was used for (before they run), keeps each run's last replies so that a message
sent twice is answered without training twice, numbers the node's signed words, and lists everything that left. The
same file holds the site's own audit log (`journal`).
"""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fedstudy_core.receipts import JournalHead
from fedstudy_node.home import now_text
from fedstudy_node.journal import Journal

LARGEST_KEPT_REPLY = 64 * 1024**2
LONGEST_TYPE = 120
_ROUNDS_KEPT = 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS round (
    approval TEXT NOT NULL, run TEXT NOT NULL, number INTEGER NOT NULL, started_at TEXT NOT NULL,
    PRIMARY KEY (approval, run, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked (
    approval TEXT NOT NULL, run TEXT NOT NULL, number INTEGER NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (approval, run, number, message)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reply (
    run TEXT NOT NULL, round INTEGER NOT NULL, message_type TEXT NOT NULL, asked TEXT NOT NULL,
    content BLOB NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (run, round, message_type)
) STRICT;
CREATE TABLE IF NOT EXISTS egress (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, study TEXT NOT NULL, run TEXT NOT NULL, flower_run TEXT NOT NULL,
    round INTEGER NOT NULL, message_type TEXT NOT NULL, approval TEXT NOT NULL, outcome TEXT NOT NULL,
    code TEXT NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, update_sha256 TEXT NOT NULL,
    numbers INTEGER NOT NULL DEFAULT 0, contents TEXT NOT NULL DEFAULT ''
) STRICT;
"""
# Columns that ledgers of older agents lack.
_ADDED = {"numbers": "INTEGER NOT NULL DEFAULT 0", "contents": "TEXT NOT NULL DEFAULT ''"}


@dataclass(frozen=True)
class KeptReply:
    """The content that a script replied with, ready to be sent again."""

    content: bytes
    seconds: float


@dataclass(frozen=True)
class Departure:
    """One reply that left the site: what it was about, how it ended, how large it was (bytes), what it held.

    Attributes:
        numbers: how many numbers left.
        contents: their names, shapes and dtypes as JSON (`Cargo.manifest`); no values.
    """

    study: str
    run: str
    flower_run: str
    round: int
    message_type: str
    approval: str
    outcome: str
    code: str
    bytes_in: int
    bytes_out: int
    update_sha256: str
    at: str = ""
    numbers: int = 0
    contents: str = ""


_NOT_IN_JOURNAL = ("outcome", "run", "at", "contents")  # the last is bound by `update_sha256`
_KINDS = {"done": "answered", "refused": "refused", "failed": "failed"}


class Ledger:
    """One connection to the ledger. A thread or process opens its own."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._add_columns()
        self.journal = Journal(self._db)

    def _add_columns(self) -> None:
        if not self._missing_columns():
            return
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            for name in self._missing_columns():  # another process may have been first
                self._db.execute(f"ALTER TABLE egress ADD COLUMN {name} {_ADDED[name]}")

    def _missing_columns(self) -> list[str]:
        there = {row[1] for row in self._db.execute("PRAGMA table_info(egress)")}
        return [name for name in _ADDED if name not in there]

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def next_number(self, name: str) -> int:
        """Return the next number of a series; never the same one twice, in any process."""
        statement = (
            "INSERT INTO counter VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
        )
        return int(self._db.execute(statement, (name,)).fetchone()[0])

    def next_moment(self, name: str) -> int:
        """Return a number that grows with the clock (microseconds), so that a restored backup does not go back."""
        statement = (
            "INSERT INTO counter VALUES (?1, ?2) ON CONFLICT (name)"
            " DO UPDATE SET value = max(value + 1, excluded.value) RETURNING value"
        )
        return int(self._db.execute(statement, (name, time.time_ns() // 1000)).fetchone()[0])

    def count_up(self, name: str, value: int) -> bool:
        """Note where somebody else's counter stands; False when it did not go up. One that stays at 0 is none."""
        statement = (
            "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name)"
            " DO UPDATE SET value = excluded.value WHERE excluded.value > value RETURNING value"
        )
        known = self._db.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
        if value == 0 and (known is None or known[0] == 0):
            return True
        return self._db.execute(statement, (name, value)).fetchone() is not None

    def count_message(self, *, approval: str, run: str, number: int, message: str) -> None:
        """Count a round under an approval, and a message of it (by its digest), each once."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            self._db.execute("INSERT OR IGNORE INTO round VALUES (?, ?, ?, ?)", (approval, run, number, now_text()))
            self._db.execute("INSERT OR IGNORE INTO asked VALUES (?, ?, ?, ?)", (approval, run, number, message))

    def messages_of_round(self, *, approval: str, run: str, number: int, but: str) -> int:
        """Return how many messages of a round were counted, other than one."""
        query = "SELECT count(*) FROM asked WHERE approval = ? AND run = ? AND number = ? AND message <> ?"
        return int(self._db.execute(query, (approval, run, number, but)).fetchone()[0])

    def rounds_used(self, *, approval: str, run: str) -> int:
        """Return how many rounds after preparation (round 0) ran under an approval."""
        query = "SELECT count(*) FROM round WHERE approval = ? AND run = ? AND number > 0"
        return int(self._db.execute(query, (approval, run)).fetchone()[0])

    def was_counted(self, *, approval: str, run: str, number: int) -> bool:
        """Whether a round was counted before, so that sending it again costs no further round."""
        query = "SELECT 1 FROM round WHERE approval = ? AND run = ? AND number = ?"
        return self._db.execute(query, (approval, run, number)).fetchone() is not None

    def keep_reply(
        self,
        *,
        run: str,
        round_: int,
        message_type: str,
        asked: str,
        content: Sequence[bytes | memoryview],
        seconds: float,
    ) -> None:
        """Keep a reply until two rounds later; `asked` is the digest of the message that it answers."""
        if sum(map(len, content)) > LARGEST_KEPT_REPLY:
            return
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            self._db.execute("DELETE FROM reply WHERE run = ? AND round <= ?", (run, round_ - _ROUNDS_KEPT))
            self._db.execute(
                "INSERT OR REPLACE INTO reply VALUES (?, ?, ?, ?, ?, ?)",
                (run, round_, message_type, asked, b"".join(content), seconds),
            )

    def kept_reply(self, *, run: str, round_: int, message_type: str, asked: str) -> KeptReply | None:
        """Return the reply that was given to the very same message before."""
        query = "SELECT content, seconds FROM reply WHERE run = ? AND round = ? AND message_type = ? AND asked = ?"
        row = self._db.execute(query, (run, round_, message_type, asked)).fetchone()
        return KeptReply(bytes(row[0]), float(row[1])) if row else None

    def forget_old_replies(self, *, keep_runs: int = 20) -> None:
        """Drop the replies of all but the newest runs."""
        with suppress(sqlite3.OperationalError):  # another process holds the file: next time
            self._db.execute(
                "DELETE FROM reply WHERE run NOT IN"
                " (SELECT run FROM egress GROUP BY run ORDER BY max(id) DESC LIMIT ?)",
                (keep_runs,),
            )

    def note_departure(self, departure: Departure) -> JournalHead:
        """Write down what leaves, before it leaves; returns the journal's head with this in it."""
        departure = replace(departure, message_type=departure.message_type[:LONGEST_TYPE])  # the SuperLink's own word
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            self._insert(departure)
            told = {name: value for name, value in asdict(departure).items() if name not in _NOT_IN_JOURNAL}
            return self.journal.add(_KINDS[departure.outcome], departure.run, told)

    def _insert(self, departure: Departure) -> None:
        self._db.execute(
            "INSERT INTO egress (at, study, run, flower_run, round, message_type, approval, outcome, code,"
            " bytes_in, bytes_out, update_sha256, numbers, contents)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                now_text(),
                departure.study,
                departure.run,
                departure.flower_run,
                departure.round,
                departure.message_type,
                departure.approval,
                departure.outcome,
                departure.code,
                departure.bytes_in,
                departure.bytes_out,
                departure.update_sha256,
                departure.numbers,
                departure.contents,
            ),
        )

    def runs(self) -> list[str]:
        """Return the ids of all runs that this node ever answered."""
        return [str(row[0]) for row in self._db.execute("SELECT DISTINCT run FROM egress WHERE run <> ''")]

    def departed(self) -> tuple[int, int]:
        """Return how many replies left, and how many bytes in all."""
        row = self._db.execute("SELECT count(*), coalesce(sum(bytes_out), 0) FROM egress").fetchone()
        return int(row[0]), int(row[1])

    def departures(self, limit: int = 20, run: str = "", *, skip: int = 0) -> list[Departure]:
        """Return what left last, newest first, after leaving `skip` rows out.

        Args:
            run: the beginning of a run's id, for what went to that run.
        """
        query = (
            "SELECT study, run, flower_run, round, message_type, approval, outcome, code, bytes_in, bytes_out,"
            " update_sha256, at, numbers, contents FROM egress"
            " WHERE substr(run, 1, ?1) = ?2 ORDER BY id DESC LIMIT ?3 OFFSET ?4"
        )
        return [Departure(*row) for row in self._db.execute(query, (len(run), run, limit, skip))]
