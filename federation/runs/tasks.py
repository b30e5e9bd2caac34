"""Celery's part: thin, short and safe to repeat. PostgreSQL says what is to do; a task is only a wake-up call."""

from __future__ import annotations

import gc
import uuid

from celery import shared_task


@shared_task
def drive(run_id: str) -> None:
    """Drive a run for a slice of time, and call again if it goes on."""
    from federation.runs import engine  # Flower is imported by workers only

    pause = engine.drive(uuid.UUID(run_id))
    # The models that it looked at are mapped files, each with a descriptor. They lie in cycles of references, which the
    # collector left alone until a worker had more than a thousand open.
    gc.collect()
    if pause is not None:
        drive.apply_async([run_id], countdown=pause)


@shared_task
def retire(run_id: str) -> None:
    """End the Flower run of a run that is over."""
    from federation.runs import attempts, engine
    from federation.runs.selectors import attempts_to_retire

    for attempt in attempts_to_retire(uuid.UUID(run_id)):
        attempts.retire(attempt, engine.superlink())


@shared_task
def admit() -> None:
    """Let runs begin whose turn it is."""
    from federation.runs import queue

    queue.admit_runs()


@shared_task
def fire_schedules() -> None:
    """Make and start the runs of schedules that are due."""
    from federation.runs import schedules

    for schedule_id in schedules.due_schedules():
        schedules.fire(schedule_id)


@shared_task
def sync_nodes() -> str:
    """Register the keys of confirmed nodes at the SuperLink, and strike revoked ones; the code of what went wrong."""
    from federation.runs import engine, fleet

    return fleet.sync_nodes(engine.superlink())


@shared_task
def reconcile() -> None:
    """Wake up whatever PostgreSQL says is to do and nobody does: after a crash, or an emptied broker."""
    from federation.runs.selectors import abandoned_runs, finished_with_live_attempt

    fire_schedules()
    admit()
    for run_id in abandoned_runs():
        drive.delay(str(run_id))
    for run_id in finished_with_live_attempt():
        retire.delay(str(run_id))
    sync_nodes.delay()
