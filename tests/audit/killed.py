"""A sequencer that is killed (SIGKILL) before and after each of its statements, until one gets through.

Run by `test_sequencer_killed` with a database in its environment. Every sequencer is a process of its own, which opens
its own session. Prints how many were killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

BATCH = 100  # so that a run is several batches, with tiles in some


def count_statements(fatal: int) -> None:
    """Let this process die at its statement of this number, counting from 0: even before it, odd after it."""
    import psycopg
    from django.db.backends.utils import CursorWrapper

    reached = 0

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal reached
            for moment in ("before", "after"):
                if reached == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)
                reached += 1
                if moment == "before":
                    answer = call(*args, **kwargs)
            return answer

        return wrapped

    for owner, name in (
        (CursorWrapper, "execute"),
        (CursorWrapper, "executemany"),
        (psycopg.Cursor, "copy"),
        (psycopg.Connection, "commit"),
    ):
        setattr(owner, name, dying(getattr(owner, name)))


def work() -> None:
    from audit import sequencer
    from audit.sequencer import Sequencer
    from tests.audit.logs import SIGNER

    sequencer.AT_ONCE = BATCH
    assert sequencer.lead()
    working = Sequencer.begin(SIGNER)
    while working.place_batch():
        working.sign_checkpoint()


def main() -> None:
    django.setup()
    killed = 0
    while True:
        child = os.fork()
        if child == 0:
            count_statements(killed)
            work()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        killed += 1
    assert os.WEXITSTATUS(status) == 0
    sys.stdout.write(str(killed))


if __name__ == "__main__":
    main()
