"""Whether every transaction of the portal's own code that changed something wrote of it into the log.

While a test runs, each statement that writes is looked at: into which table, and by whose code. When a transaction of
the portal's code ends that changed the domain, it must have written an event too. What the test itself writes is its
own affair. A transaction is what a savepoint of the test's own transaction holds, or a real one where the test has
none; a statement outside of both stands alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connection, transaction

from tests.audit.untold import PART, ROW, UNTOLD, UNTOLD_WRITES

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).relative_to(ROOT)
# What these do is a part of a change that somebody else makes: whoever calls them is asked.
PARTS = frozenset({"platform/accounts/models.py", "platform/accounts/groups.py"})
EVENTS = "audit_event"
DOMAIN = (
    "accounts", "lifecycle", "dictionary", "enrolment", "scripts", "pooling", "registry", "runs", "releases",
    "degrees", "webhooks",
)  # fmt: skip
_WRITES = re.compile(r'(INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?(?:\s+SET\s+(.*?)(?:\sWHERE\s|$))?', re.DOTALL)
_REWRITES = re.compile(r"\sDO UPDATE SET (.*?)(?:\sRETURNING\s|$)", re.DOTALL)  # rows that are there already
_COLUMN = re.compile(r'(?:^|,\s*)"(\w+)"\s*=')


@dataclass(frozen=True)
class Write:
    """What a statement changed, and the portal's functions that were at work, the innermost first."""

    table: str
    columns: frozenset[str]
    by: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.by[0]} writes {self.table} ({', '.join(sorted(self.columns))})"


@dataclass
class Unit:
    """What a transaction, or a part of it that may be rolled back by itself, has written so far."""

    writes: list[Write] = field(default_factory=list)
    told: bool = False

    def add(self, other: Unit) -> None:
        self.writes += other.writes
        self.told = self.told or other.told


@dataclass
class Watch:
    """Looks at every statement; `silent` holds what was changed without an event.

    Attributes:
        within: whether the test itself is in a transaction, of which those of the portal are savepoints.
    """

    within: bool
    silent: list[Write] = field(default_factory=list)
    _open: list[Unit] = field(default_factory=list)
    _committing: Callable[[], None] | None = None

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if not self.within:
            self._look_at_transaction()
        match sql.split(" ", 1)[0]:
            case "SAVEPOINT":
                self._open.append(Unit())
            case "RELEASE":
                self._end()
            case "ROLLBACK":
                self._open[-1:] = [Unit()]
            case "INSERT" | "UPDATE" | "DELETE":
                self._note(sql)
        return result

    def _look_at_transaction(self) -> None:
        """Begin anew with each transaction, whose end is told when it is committed, and not when it is rolled back."""
        if not connection.in_atomic_block:
            self._open = []
        elif not any(item[1] is self._committing for item in connection.run_on_commit):
            self._open, self._committing = [Unit()], partial(self._end)
            transaction.on_commit(self._committing)

    def _note(self, sql: str) -> None:
        found = _WRITES.match(sql)
        if found is None:
            return
        _, table, assigned = found.groups()
        unit = Unit(told=table == EVENTS)
        if table in domain_tables() and (by := writers()):
            rewritten = _REWRITES.search(sql)
            assigned = rewritten.group(1) if rewritten else assigned
            unit.writes.append(Write(table, frozenset(_COLUMN.findall(assigned) if assigned else {ROW}), by))
        self._open.append(unit)
        self._end()

    def _end(self) -> None:
        """What ended is a part of what is still open, or a transaction of its own."""
        if not self._open:
            return
        done = self._open.pop()
        if self._open:
            self._open[-1].add(done)
        elif not done.told:
            self.silent += [write for write in done.writes if not is_untold(write)]


def writers() -> tuple[str, ...]:
    """The functions of the portal whose statement this is, the innermost first; none where a test makes it itself.

    Of what is a part of somebody else's change, they are asked; it may be the test's.
    """
    by, frame = [], sys._getframe(2)
    while frame is not None:
        place = asked(frame.f_code.co_filename)
        if place.startswith("tests/"):
            break
        if place:
            by.append(f"{module_of(place)}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return () if by and UNTOLD.get(by[-1]) == PART else tuple(by)


@cache
def asked(filename: str) -> str:
    """Which of our files this is; empty for a library's and for those that others answer for."""
    path = Path(filename)
    if not path.is_relative_to(ROOT) or ".venv" in path.parts:
        return ""
    place = path.relative_to(ROOT)
    return "" if place == HERE or f"{place}" in PARTS else f"{place}"


def module_of(place: str) -> str:
    return place.removeprefix("platform/").removesuffix(".py").replace("/", ".")


@cache
def domain_tables() -> frozenset[str]:
    """The tables of the domain's models, also those between two models."""
    models = [model for label in DOMAIN for model in apps.get_app_config(label).get_models(include_auto_created=True)]
    return frozenset(model._meta.db_table for model in models)


def is_untold(write: Write) -> bool:
    """Whether this is among what changes without an event."""
    known = [item for item in UNTOLD_WRITES if item.table == write.table and (not item.by or item.by in write.by)]
    return any(not item.columns for item in known) or write.columns <= {name for item in known for name in item.columns}


@contextmanager
def watched() -> Iterator[Watch]:
    """Look at the statements of this connection. Begin in the test's own transaction, if it has one."""
    watch = Watch(within=connection.in_atomic_block)
    with connection.execute_wrapper(watch):
        yield watch
