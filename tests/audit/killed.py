"""Sequencers that are killed (SIGKILL) before and after each statement of a pass, until a pass gets through.

Run by `test_sequencer_killed` with a database in its environment. Every sequencer is a process of its own, which opens
its own session. For each moment there are new events; one sequencer is killed in its pass over them, and another one
goes on from what was left. Both times the log is looked at. Prints as JSON how many were killed, and the statements of
the pass that got through.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import django
from django.db import connection

if TYPE_CHECKING:
    from audit.sequencer import LogSigner

BATCH = 128
EVENTS = 2 * BATCH  # a pass is two batches, and ends with a full tile
SHORT = 60
LEFT = """
SELECT (SELECT count(*) FROM audit_event), (SELECT count(*) FROM audit_leaf),
       (SELECT count(DISTINCT event) FROM audit_leaf), (SELECT count(*) FROM audit_queue),
       (SELECT coalesce(max(position) + 1, 0) FROM audit_leaf), (SELECT coalesce(max(size), 0) FROM audit_checkpoint),
       (SELECT count(*) FROM audit_queue JOIN audit_leaf USING (event)), (SELECT count(*) FROM audit_tile)
"""


def dying(fatal: int | None, statements: list[str]) -> None:
    """Note this process's statements, and let it die at a moment, counting from 0: even before one, odd after it."""
    import psycopg
    from django.db.backends.utils import CursorWrapper

    def watched(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(itself: Any, *args: Any, **kwargs: Any) -> Any:
            _die_at(fatal, 2 * len(statements))
            statements.append(" ".join(str(args[0] if args else name).split())[:SHORT])
            answer = call(itself, *args, **kwargs)
            _die_at(fatal, 2 * len(statements) - 1)
            return answer

        return wrapped

    for owner, name in ((CursorWrapper, "execute"), (CursorWrapper, "executemany"), (psycopg.Connection, "commit")):
        setattr(owner, name, watched(getattr(owner, name), name))
    copied = psycopg.Cursor.copy

    @contextmanager
    def copy(cursor: Any, *args: Any) -> Iterator[Any]:
        """Its statement is sent when the block begins, and has its answer when the block ends."""
        _die_at(fatal, 2 * len(statements))
        statements.append(str(args[0])[:SHORT])
        with copied(cursor, *args) as block:
            yield block
            _die_at(fatal, 2 * len(statements) - 1)

    setattr(psycopg.Cursor, copied.__name__, copy)


def _die_at(fatal: int | None, moment: int) -> None:
    if fatal == moment:
        os.kill(os.getpid(), signal.SIGKILL)


def one_pass(signer: LogSigner) -> None:
    from audit import sequencer
    from audit.sequencer import Sequencer

    sequencer.AT_ONCE = BATCH
    assert sequencer.lead()
    working = Sequencer.begin(signer)
    while working.place_batch():
        working.sign_checkpoint()
    working.sign_checkpoint()


def sequencer_that(fatal: int | None, signer: LogSigner) -> tuple[bool, list[str]]:
    """Whether one got through, and if so by which statements."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        statements: list[str] = []
        dying(fatal, statements)
        one_pass(signer)
        os.write(writing, json.dumps(statements).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        said = told.read()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or os.WEXITSTATUS(status) == 0, f"the sequencer ended with {status}"
    return not killed, json.loads(said or "[]")


def look(*, at_the_end: bool) -> None:
    """There is no gap and no double; each event has its place or waits for it. Waits until no sequencer is left."""
    from audit.sequencer import LOCK

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s), pg_advisory_unlock(%s)", [LOCK, LOCK])
        cursor.execute(LEFT)
        events, leaves, placed, queued, end, signed, both, tiles = cursor.fetchone()
    connection.close()
    assert (placed, end, both, leaves + queued, tiles) == (leaves, leaves, 0, events, leaves // 256)
    assert signed <= leaves
    assert not at_the_end or (queued, signed) == (0, events)


def main() -> None:
    django.setup()
    from audit.models import Event, LogKey
    from tests.audit.logs import SIGNER  # here, so that what every sequencer needs is loaded once

    event = {"actor": "system:tests", "actor_label": "tests", "action": "demo:thing:done", "object_type": "thing"}
    for fatal in count():
        Event.objects.bulk_create(Event(**event) for _ in range(EVENTS))
        connection.close()
        through, statements = sequencer_that(fatal, SIGNER)
        look(at_the_end=through)
        if through:
            break
        if LogKey.objects.exists():  # before that, the next one is to be killed where the key is stored
            connection.close()
            assert sequencer_that(None, SIGNER)[0]
            look(at_the_end=True)
    sys.stdout.write(json.dumps({"killed": fatal, "statements": statements}))


if __name__ == "__main__":
    main()
