"""A process for each run that a script's own ServerApp leads.

The app's process lives as long as the run, and a worker's task does not; so the task takes the run's lease and starts a
driver, which holds it from then on, and whose end ends the app. When a driver is gone, the reconciler finds its run
without a holder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from dataclasses import asdict
from datetime import timedelta

import structlog

from federation.runs.lease import Lease, claim
from federation.runs.models import Run
from federation.runs.phases import OWN_SERVER

log = structlog.get_logger(__name__)

# A driver imports Django and Flower before it can renew the lease.
STARTS_WITHIN = timedelta(seconds=60)

_started: list[subprocess.Popen[bytes]] = []


def has_own_server(run_id: uuid.UUID) -> bool:
    """Whether the run is led by its script's own ServerApp."""
    return Run.objects.filter(pk=run_id, strategy=OWN_SERVER).exists()


def start(run_id: uuid.UUID) -> None:
    """Start a driver for the run, unless somebody holds it: one that starts holds it, too."""
    _started[:] = [process for process in _started if process.poll() is None]
    lease = claim(run_id, STARTS_WITHIN)
    if lease is None:
        return
    words = ["lead_run", as_text(lease), "--parent", str(os.getpid())]
    process = subprocess.Popen([sys.executable, "-m", "django", *words], stdin=subprocess.DEVNULL)
    _started.append(process)
    log.info("driver_started", run=str(run_id), pid=process.pid)


def as_text(lease: Lease) -> str:
    """The lease as one word of a command line."""
    return json.dumps(asdict(lease), default=str, separators=(",", ":"))


def lease_of(text: str) -> Lease:
    """The lease that `as_text` wrote. Raises ValueError, KeyError, TypeError for anything else."""
    raw = json.loads(text)
    return Lease(**raw | {"run_id": uuid.UUID(raw["run_id"])})
