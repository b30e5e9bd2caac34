"""The Celery application: `celery -A portal.celery:app worker` and `... beat`.

Celery only wakes workers. The truth about runs is in PostgreSQL, and `federation.runs.tasks.reconcile`, which beat
sends every five seconds, picks up whatever a lost message or a lost worker left behind.
"""

import os
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.signals import task_postrun, task_prerun, worker_process_init, worker_ready
from kombu.transport.redis import Channel, QoS

from fedstudy_core.memory import give_back_large_blocks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

# A worker that loses Redis in the middle of a task would put the task's message back over the connection that is gone,
# and end of that (kombu 5.7). What a worker leaves undone is found in PostgreSQL, or delivered again by Redis in time.
Channel.do_restore = False


class Acknowledgements(QoS):
    """Kombu's own, but for a task that ends after its connection: acknowledging it there would end the worker.

    Redis delivers such a message again in time, and what it asks for is done by then, or goes on.
    """

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message, while the connection stands that it came by."""
        if self.channel.connection is not None:
            super().ack(delivery_tag)


Channel.QoS = Acknowledgements

_CONTEXTS: dict[str, Any] = {}  # of the tasks at work here
app = Celery("fedstudy")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
def _spare_memory(**_: object) -> None:
    """Models come and go in a worker: what it freed is not to stay with it."""
    give_back_large_blocks()


@task_prerun.connect
def _begin_context(task: Any, task_id: str = "", **_: object) -> None:
    """Events of a task say which one wrote them."""
    from audit.context import begin, of_system

    _CONTEXTS[task_id] = begin(of_system(task.name, task_id))


@task_postrun.connect
def _end_context(task_id: str = "", **_: object) -> None:
    from audit.context import end

    if task_id in _CONTEXTS:
        end(_CONTEXTS.pop(task_id))


@worker_ready.connect
def _note_start(sender: Any, **_: object) -> None:
    """Say that this worker is there: its first task may come as late as half a minute after."""
    from portal.health import REDIS_ERRORS
    from portal.pulses import note_worker

    with suppress(*REDIS_ERRORS):
        for queue in sender.app.amqp.queues.consume_from:
            note_worker(worker=sender.hostname, queue=queue)


@task_postrun.connect
def _note_pulse(task: Any, retval: Any = None, **_: object) -> None:
    """Say that this worker is alive, once a task is done. Nothing depends on it: without Redis it stays unsaid."""
    from portal.health import REDIS_ERRORS
    from portal.pulses import note_task

    with suppress(*REDIS_ERRORS):
        queue = (task.request.delivery_info or {}).get("routing_key") or ""
        note_task(worker=task.request.hostname or "", queue=queue, task=task.name, result=retval)
