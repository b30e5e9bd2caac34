"""Drives runs as a worker does, in processes that die: `python -m tests.faults.driver WHAT RUN ...`.

It is the worker's own engine with a short lease. A process that is to die is forked off one that has imported
everything, so that a thousand deaths take minutes. Prints what it did as JSON.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import random
import signal
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import django
import psycopg

django.setup()

from django.db import transaction  # noqa: E402 - after Django is set up

from federation.runs import engine, journal, lease  # noqa: E402
from federation.runs.flower import Session  # noqa: E402
from federation.runs.models import Run  # noqa: E402
from federation.runs.tasks import drive as drive_task  # noqa: E402

SHORT_LEASE = timedelta(seconds=0.1)
# A place that does not come up in so many rounds does not come up in this run.
STAGE_ROUNDS, STAGE_PATIENCE_S = 2, 60.0
OVER = 7


def work(run: uuid.UUID) -> None:
    """Drive until the run is over, as one worker after another would."""
    while not Run.objects.get(pk=run).is_final:
        if engine.drive(run) is None:
            time.sleep(0.02)


def fork(run: uuid.UUID, prepare: Callable[[], None] = lambda: None) -> int:
    """A process that drives the run; it ends with OVER when the run is."""
    child = os.fork()
    if child:
        return child
    try:
        prepare()
        work(run)
        os._exit(OVER)
    finally:
        os._exit(1)


def _status(child: int, *, wait: bool) -> int | None:
    ended, status = os.waitpid(child, 0 if wait else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def kill_at_random(run: uuid.UUID, times: int, seed: int, mean_s: float) -> dict[str, int]:
    """Kill the driver so often, each after a random while: most die soon, some live for rounds (exponential); ends
    early with the run."""
    draw = random.Random(seed)
    killed = crashed = 0
    while killed < times:
        child = fork(run)
        time.sleep(draw.expovariate(1 / mean_s))
        if (status := _status(child, wait=False)) is None:
            os.kill(child, signal.SIGKILL)
            status = _status(child, wait=True)
        if status == OVER:
            break
        killed += status == -signal.SIGKILL
        crashed += status != -signal.SIGKILL
    return {"killed": killed, "crashed": crashed}


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _deadly(name: str, moment: str) -> Callable[[], None]:
    """Have a write of the journal kill its process: before it, in its transaction, or once it is committed."""
    write = getattr(journal, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if moment == "before":
            _die()
        if moment == "within":
            with transaction.atomic():
                inspect.unwrap(write)(*arguments, **named)
                _die()
        write(*arguments, **named)
        _die()

    return lambda: setattr(journal, name, wrapped)


def kill_at_every_stage(run: uuid.UUID) -> dict[str, list[str]]:
    """Kill the driver around each of the journal's writes, which stand in the order in which a run first comes by them;
    tells which came up, and which did not in this run."""
    writes = [
        name for name, item in vars(journal).items()
        if inspect.isfunction(item) and not name.startswith("_") and item.__module__ == journal.__name__
    ]  # fmt: skip
    died, never = [], []
    for name in writes:
        for moment in ("before", "within", "after"):
            child = fork(run, _deadly(name, moment))
            status = _lived(run, child)
            if status is None:
                os.kill(child, signal.SIGKILL)
                _status(child, wait=True)
                never.append(name)
                break
            (died if status == -signal.SIGKILL else never).append(f"{name}:{moment}")
    return {"died": died, "never": never}


def _lived(run: uuid.UUID, child: int) -> int | None:
    """Wait until the driver dies; None when it is still there after so many rounds.

    Over a connection of its own, closed before the next fork: two processes cannot share one.
    """
    give_up = time.monotonic() + STAGE_PATIENCE_S
    with psycopg.connect(os.environ["FEDSTUDY_DATABASE_URL"], autocommit=True) as connection:
        enough = _committed(connection, run) + STAGE_ROUNDS
        while (status := _status(child, wait=False)) is None and time.monotonic() < give_up:
            if _committed(connection, run) >= enough:
                return _status(child, wait=False)
            time.sleep(0.05)
    return status


def _committed(connection: psycopg.Connection[tuple[int]], run: uuid.UUID) -> int:
    row = connection.execute("SELECT count(*) FROM runs_round WHERE run_id = %s AND state = 'committed'", [run])
    return (row.fetchone() or (0,))[0]


def send_thrice(run: uuid.UUID) -> dict[str, int]:
    """Drive to the end, every message sent three times; only the last one's answer is looked for."""
    push = Session.push
    sent = 0

    def thrice(self: Session, outgoing: Any) -> Any:
        nonlocal sent
        sent += 3 * len(outgoing)
        return [push(self, outgoing) for _ in range(3)][-1]

    Session.push = thrice  # type: ignore[method-assign]
    work(run)
    return {"messages": sent}


def enqueue(run: uuid.UUID, times: int) -> dict[str, int]:
    """Have the same task delivered so often."""
    for _ in range(times):
        drive_task.delay(str(run))
    return {"tasks": times}


def main() -> int:
    """Do what the words say, and print what came of it."""
    parser = argparse.ArgumentParser(prog="driver")
    parser.add_argument("what", choices=("random", "stages", "thrice", "tasks"))
    parser.add_argument("run", type=uuid.UUID)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mean", type=float, default=1.0, help="seconds that a driver lives on average")
    words = parser.parse_args()
    lease.LEASE = SHORT_LEASE
    engine.claim = partial(lease.claim, hold_for=SHORT_LEASE)  # type: ignore[assignment]
    match words.what:
        case "random":
            told: Any = kill_at_random(words.run, words.times, words.seed, words.mean)
        case "stages":
            told = kill_at_every_stage(words.run)
        case "thrice":
            told = send_thrice(words.run)
        case _:
            told = enqueue(words.run, words.times)
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
