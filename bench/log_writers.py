"""Some of the writers of `bench.log`: threads that write events. Prints what each write took, in milliseconds."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import psycopg

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


def main() -> None:
    threads, each, pace_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    ready = threading.Barrier(threads)
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda number: write(ready, number / threads, each, pace_s), range(threads)))
    began, ended = min(times[0] for times, _ in found), max(times[1] for times, _ in found)
    print(json.dumps({"began": began, "ended": ended, "ms": [value for _, taken in found for value in taken]}))


def write(ready: threading.Barrier, share: float, each: int, pace_s: float) -> tuple[tuple[float, float], list[float]]:
    """Write events at a pace, or one after another; returns when it began and ended, and what each took."""
    taken = []
    with psycopg.connect(os.environ["FEDSTUDY_DATABASE_URL"], autocommit=True) as database:
        for _ in range(WARM_UP):
            _add(database)
        ready.wait()
        due = time.time() + pace_s * share
        time.sleep(pace_s * share)
        began = time.time()
        for _ in range(each):
            before = time.perf_counter()
            _add(database)
            taken.append((time.perf_counter() - before) * 1000)
            due += pace_s
            if pace_s:
                time.sleep(max(0.0, due - time.time()))
        return (began, time.time()), taken


def _add(database: psycopg.Connection) -> None:
    salt = secrets.token_bytes(48)
    database.execute(INSERT, (uuid4(), datetime.now(UTC), str(uuid4()), STUDY, DETAIL, CONTEXT, salt))


if __name__ == "__main__":
    main()
