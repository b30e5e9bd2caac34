"""How fast events are taken in and get their places: many writers, PostgreSQL and the sequencer on one machine.

Every writer adds rows as `audit.services.record` does, each in a transaction of its own, over the connections that the
processes of a portal have (FEDSTUDY_DATABASE_POOL); what an event takes includes the wait for one of them. First all
write as fast as they can; then they keep a steady pace, which aims a little above the bar: who aims at the bar can only
stay below it. The delay is the time from an event to the first signed checkpoint that has it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from bench import machine
from devstack import services, stack
from devstack.processes import Supervisor
from devstack.services import Folders

RESULTS = Path(__file__).parent / "results"
PROCESSES, THREADS = 4, 16
READY = b"ready\n"  # bench.log_writers
BURST, AIM, SECONDS = 10_000, 2_200, 30
BARS = {"p99_ms": 50, "rate": 2_000, "delay_s": 5}
DELAYS = """
SELECT max(signed.at - audit_event.at), avg(signed.at - audit_event.at)
FROM audit_leaf JOIN audit_event ON audit_event.id = audit_leaf.event
CROSS JOIN LATERAL (
    SELECT at FROM audit_checkpoint WHERE size > audit_leaf.position ORDER BY size LIMIT 1
) signed
WHERE audit_event.id > %s
"""
WHOLE = """
SELECT (SELECT count(*) FROM audit_event), (SELECT count(*) FROM audit_leaf),
       (SELECT count(DISTINCT event) FROM audit_leaf), (SELECT coalesce(max(position) + 1, 0) FROM audit_leaf)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.log", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of the steady pace")
    parser.add_argument("--json", type=Path, default=RESULTS / "log.json", help="where to write the figures")
    options = parser.parse_args()
    before = machine.load()
    with Supervisor() as supervisor:
        folders = Folders.throwaway()
        running = services.start(supervisor, folders)
        environment = {
            **stack.plain_environment(),
            **services.portal_environment(running, folders, profile="demo"),
        }
        stack.manage({**environment, **services.owner_environment(running)}, "migrate", "--verbosity", "0")
        of_sequencer = {**environment, **services.sequencer_environment(running, folders)}
        supervisor.launch(stack.sequencer_command(of_sequencer, folders))
        with psycopg.connect(running.postgres.superuser_url, autocommit=True) as database:
            while not database.execute("SELECT 1 FROM audit_logkey").fetchone():  # until the sequencer leads
                time.sleep(0.1)
            writes = PROCESSES * THREADS
            burst = measure(database, environment, each=-(-BURST // writes), pace_s=0)
            steady = measure(database, environment, each=AIM * options.seconds // writes, pace_s=writes / AIM)
    result = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "writers": PROCESSES * THREADS,
        "machine": machine.describe() | {"load": {"before": before, "after": machine.load()}},
        "burst": burst,
        "steady": {"aim": AIM, **steady},
        "bars": BARS,
    }
    options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def measure(
    database: psycopg.Connection[Any], environment: Mapping[str, str], *, each: int, pace_s: float
) -> dict[str, Any]:
    """Let all writers write `each` events, one every `pace_s` seconds, and wait until all are signed."""
    last = database.execute("SELECT coalesce(max(id), 0) FROM audit_event").fetchone()[0]  # type: ignore[index]
    command = [sys.executable, "-m", "bench.log_writers", str(THREADS), str(each), str(pace_s)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    children = [subprocess.Popen(command, env=dict(environment), **pipes) for _ in range(PROCESSES)]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == READY
    told = [json.loads(answer) for answer in _answers(children)]
    _until_signed(database)
    events, leaves, distinct, size = database.execute(WHOLE).fetchone()  # type: ignore[misc]
    assert events == leaves == distinct == size, (events, leaves, distinct, size)
    longest, mean = database.execute(DELAYS, [last]).fetchone()  # type: ignore[misc]
    times = sorted(value for one in told for value in one["ms"])
    taken = max(one["ended"] for one in told) - min(one["began"] for one in told)
    return {
        "events": len(times),
        "lost": PROCESSES * THREADS * each - len(times),
        "rate": round(len(times) / taken),
        "p50_ms": round(times[len(times) // 2], 1),
        "p99_ms": round(times[len(times) * 99 // 100], 1),
        "max_ms": round(times[-1], 1),
        "delay_s": round(longest.total_seconds(), 2),
        "mean_delay_s": round(mean.total_seconds(), 2),
    }


def _answers(children: list[subprocess.Popen[bytes]]) -> list[bytes]:
    """What the writers print, who begin together now that the last of them is ready."""
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    return [child.communicate()[0] for child in children]


def _until_signed(database: psycopg.Connection[Any]) -> None:
    question = "SELECT (SELECT count(*) FROM audit_event) = (SELECT coalesce(max(size), 0) FROM audit_checkpoint)"
    while not database.execute(question).fetchone()[0]:  # type: ignore[index]
        time.sleep(0.1)


if __name__ == "__main__":
    main()
