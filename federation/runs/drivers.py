"""A process for each run that a script's own ServerApp leads.

The app's process lives as long as the run, and a worker's task does not; so the task starts a driver, which holds the
run's lease, and whose end ends the app. When a driver is gone, the reconciler finds its run without a holder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

import structlog

from federation.runs.models import Run
from federation.runs.phases import OWN_SERVER

log = structlog.get_logger(__name__)

_started: dict[uuid.UUID, subprocess.Popen[bytes]] = {}


def has_own_server(run_id: uuid.UUID) -> bool:
    """Whether the run is led by its script's own ServerApp."""
    return Run.objects.filter(pk=run_id, strategy=OWN_SERVER).exists()


def start(run_id: uuid.UUID) -> None:
    """Start a driver for the run, unless this process has started one that still lives.

    A second one, of another worker's, finds the run held and ends at once.
    """
    for known in [known for known, process in _started.items() if process.poll() is not None]:
        del _started[known]
    if run_id in _started:
        return
    words = ["lead_run", str(run_id), "--parent", str(os.getpid())]
    _started[run_id] = subprocess.Popen([sys.executable, "-m", "django", *words], stdin=subprocess.DEVNULL)
    log.info("driver_started", run=str(run_id), pid=_started[run_id].pid)
