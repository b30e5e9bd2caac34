"""The site's own audit log: what this node did and what its people decided, one row after another.

Each row is canonical JSON; its head is the SHA-256 of the head before and of the row. So whoever knows a head (each
receipt names one) can tell whether any row up to it was altered, left out or put in since. The database refuses to
change or remove rows; an owner of the file can still do so, and then the chain shows it.
"""

import re
import sqlite3
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedstudy_core import canonical
from fedstudy_core.errors import Refusal
from fedstudy_core.receipts import JournalHead
from fedstudy_node.errors import NodeError
from fedstudy_node.home import now_text

LONGEST_TEXT = 500
EMPTY_HEAD = "0" * 64
_DOMAIN = b"fedstudy-journal-v1\n"
_KIND = re.compile(r"[a-z][a-z_]{0,39}")
_STRAY = "\N{REPLACEMENT CHARACTER}"

SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (
    sequence INTEGER PRIMARY KEY, body TEXT NOT NULL, head TEXT NOT NULL UNIQUE
) STRICT;
CREATE TRIGGER IF NOT EXISTS journal_next BEFORE INSERT ON journal
    WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM journal)
    BEGIN SELECT raise(ABORT, 'the journal is only added to'); END;
CREATE TRIGGER IF NOT EXISTS journal_kept BEFORE UPDATE ON journal
    BEGIN SELECT raise(ABORT, 'the journal is only added to'); END;
CREATE TRIGGER IF NOT EXISTS journal_whole BEFORE DELETE ON journal
    BEGIN SELECT raise(ABORT, 'the journal is only added to'); END;
"""

Fact = str | int | None


@dataclass(frozen=True)
class Entry:
    """One row: what happened (`kind`), to what (`subject`, an id or a name), and the particulars."""

    sequence: int
    at: str
    kind: str
    subject: str
    detail: Mapping[str, Fact]
    head: str


class Journal:
    """The rows, over a ledger's connection."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._db.executescript(SCHEMA)

    def append(self, kind: str, subject: str, detail: Mapping[str, Fact] | None = None) -> JournalHead:
        """Write a row; returns the chain's new head.

        Characters that could deceive a reader are replaced and long texts cut, so that nothing that comes from
        elsewhere can keep a row from being written. Never put a value of a patient's row into `detail`.
        """
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            return self.add(kind, subject, detail)

    def add(self, kind: str, subject: str, detail: Mapping[str, Fact] | None = None) -> JournalHead:
        """As `append`, within a transaction that the caller began (immediate): both are written, or neither."""
        if not _KIND.fullmatch(kind):
            raise ValueError(f"not a kind of entry: {kind!r}")
        last = self.head()
        body = {
            "v": 1,
            "sequence": last.sequence + 1,
            "at": now_text(),
            "kind": kind,
            "subject": _plain(subject),
            "detail": {name: _plain(value) for name, value in (detail or {}).items()},
        }
        written = canonical.dumps(body).decode("utf-8")
        new = JournalHead(sequence=last.sequence + 1, head=_chained(last.head, written))
        self._db.execute("INSERT INTO journal VALUES (?, ?, ?)", (new.sequence, written, new.head))
        return new

    def head(self) -> JournalHead:
        """Return the last row's number and head; 0 and zeros when there is none."""
        row = self._db.execute("SELECT sequence, head FROM journal ORDER BY sequence DESC LIMIT 1").fetchone()
        return JournalHead(sequence=int(row[0]), head=str(row[1])) if row else JournalHead(sequence=0, head=EMPTY_HEAD)

    def entries(self, limit: int = 20, *, skip: int = 0) -> list[Entry]:
        """Return the last rows, newest first, after leaving `skip` rows out."""
        query = "SELECT body, head FROM journal ORDER BY sequence DESC LIMIT ? OFFSET ?"
        rows = self._db.execute(query, (limit, skip))
        return [_entry(body, head) for body, head in rows]

    def verify(self) -> JournalHead:
        """Compute the whole chain anew; returns its head.

        Raises:
            NodeError: E_JOURNAL, naming the first row that does not hold.
        """
        expected, previous = 1, EMPTY_HEAD
        for sequence, body, head in self._db.execute("SELECT sequence, body, head FROM journal ORDER BY sequence"):
            if sequence != expected or head != _chained(previous, body) or _number(body) != sequence:
                raise NodeError("E_JOURNAL", f"The journal does not hold from row {expected} on.")
            expected, previous = expected + 1, head
        return JournalHead(sequence=expected - 1, head=previous)


def _chained(previous: str, body: str) -> str:
    return canonical.digest(_DOMAIN + previous.encode("ascii") + b"\n" + body.encode("utf-8"))


def _number(body: str) -> int:
    """Return the number that a row's own words give; a row that is not canonical has none."""
    try:
        return int(canonical.loads(body.encode("utf-8"))["sequence"])
    except (Refusal, KeyError, TypeError, ValueError):
        return 0


def _entry(body: str, head: str) -> Entry:
    raw: dict[str, Any] = canonical.loads(body.encode("utf-8"))
    return Entry(raw["sequence"], raw["at"], raw["kind"], raw["subject"], raw["detail"], head)


def _plain(value: Fact) -> Fact:
    if not isinstance(value, str):
        return value
    text = unicodedata.normalize("NFC", value)[:LONGEST_TEXT]
    if canonical.is_plain_text(text):
        return text
    return "".join(char if canonical.is_plain_text(char) else _STRAY for char in text)
