"""Two transactions at once, one of which must wait for the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from django.db import connection, transaction

from fedstudy_core.errors import FedStudyError

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
LONGEST_S = 30.0


def code_of(call: Callable[[], object]) -> str:
    """The code with which a call ended in a connection of its own; empty for success."""
    try:
        call()
    except FedStudyError as error:
        return error.code
    finally:
        connection.close()
    return ""


def meanwhile(first: Callable[[], object], second: Callable[[], object]) -> str:
    """How `second` ends when it begins after `first` has done its work, but before that is committed."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first()
            later = pool.submit(code_of, second)
            _until_it_waits(later)
        return later.result(timeout=LONGEST_S)


def _until_it_waits(later: Future[str]) -> None:
    with connection.cursor() as cursor:
        begun, waiting = time.monotonic(), 0
        while not waiting and not later.done() and time.monotonic() - begun < LONGEST_S:
            cursor.execute(WAITING)
            (waiting,) = cursor.fetchone()
