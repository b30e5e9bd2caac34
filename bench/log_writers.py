"""Some of the writers of `bench.log`: threads that write events over the connections that a process of the portal has.
Prints what each write took, in milliseconds, with the wait for a connection."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from psycopg import Connection
from psycopg_pool import ConnectionPool

from portal import environment

# The row that `audit.services.record` adds when a round is committed, in a transaction of its own.
INSERT = """
INSERT INTO audit_event (event_id, at, actor, actor_label, action, object_type, object_id, object_label, study, site,
                         outcome, detail, context, salt)
VALUES (%s, %s, 'system:worker', 'worker', 'runs:round:committed', 'run', %s, 'Demo run', %s, '', 'done', %s, %s, %s)
"""
STUDY = str(uuid4())
DETAIL = json.dumps({"model_in": "a" * 64, "model_out": "b" * 64, "round": 7}, separators=(",", ":"))
CONTEXT = json.dumps(
    {"auth": {"method": "system", "part": "worker"}, "request": str(uuid4()), "software": "0.1.0+0123456789ab"},
    separators=(",", ":"),
)
WARM_UP = 6  # after five times psycopg lets the server keep the statement
Pool = ConnectionPool[Any]


def main() -> None:
    threads, each, pace_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    ready = threading.Barrier(threads)
    with connections() as shared, ThreadPoolExecutor(threads) as pool:
        _warm_up(shared)
        print("ready", flush=True)
        sys.stdin.readline()
        found = list(pool.map(lambda number: write(shared, ready, number / threads, each, pace_s), range(threads)))
    began, ended = min(times[0] for times, _ in found), max(times[1] for times, _ in found)
    print(json.dumps({"began": began, "ended": ended, "ms": [value for _, taken in found for value in taken]}))


def connections() -> Pool:
    """As many connections as the portal's settings allow a process, all of them open."""
    url = os.environ["FEDSTUDY_DATABASE_URL"]
    allowed = environment.database(url, pool=True)["OPTIONS"]["pool"]
    size, timeout_s = allowed["max_size"], allowed["timeout"]
    return ConnectionPool(url, min_size=size, max_size=size, timeout=timeout_s, kwargs={"autocommit": True})


def _warm_up(shared: Pool) -> None:
    shared.wait()
    with ExitStack() as held:
        for _ in range(shared.max_size):
            database = held.enter_context(shared.connection())
            for _ in range(WARM_UP):
                _add(database)


def write(
    shared: Pool, ready: threading.Barrier, share: float, each: int, pace_s: float
) -> tuple[tuple[float, float], list[float]]:
    """Write events at a pace, or one after another; returns when it began and ended, and what each took."""
    taken = []
    ready.wait()
    due = time.time() + pace_s * share
    time.sleep(pace_s * share)
    began = time.time()
    for _ in range(each):
        before = time.perf_counter()
        with shared.connection() as database:
            _add(database)
        taken.append((time.perf_counter() - before) * 1000)
        due += pace_s
        if pace_s:
            time.sleep(max(0.0, due - time.time()))
    return (began, time.time()), taken


def _add(database: Connection[Any]) -> None:
    salt = secrets.token_bytes(48)
    database.execute(INSERT, (uuid4(), datetime.now(UTC), str(uuid4()), STUDY, DETAIL, CONTEXT, salt))


if __name__ == "__main__":
    main()
