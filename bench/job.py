"""One run of a workload on a FedStudy of its own, from its start to its last round: time, CPU, memory, bytes.

Everything is on as in a hospital: signed approvals, sandbox, every check of messages and answers.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from bench.figures import Figures
from bench.processes import Watch
from bench.workloads import Workload
from devstack import stack as stacks
from devstack.demo import runs, story
from devstack.demo.cast import Cast, Hospital, Person, make_cast
from devstack.demo.telling import Telling
from devstack.processes import Supervisor
from devstack.services import Folders
from federation.library.heart_disease.source import write_centres
from fedstudy_client.transport import Transport
from fedstudy_core import bundle as bundles

SERVER = ("SuperLink", "worker")
ROUND_WITHIN_S = 1800
RESTING_CPU_SHARE = 0.2
RESTED_WITHIN_S = 60.0


@dataclass(frozen=True)
class Job:
    """The figures, and what is of interest beside them.

    Attributes:
        cpu_s_by_part: CPU seconds of each part of the stack over the whole job.
        peak_mb_by_part: the largest resident memory of each.
    """

    figures: Figures
    cpu_s_by_part: Mapping[str, float]
    peak_mb_by_part: Mapping[str, float]
    refusals: int


def measure(workload: Workload) -> Job:
    """Play the study up to its first run, then start that and measure it. Raises what the demo raises."""
    with tempfile.TemporaryDirectory(prefix="fedstudy-job-") as folder, Supervisor() as supervisor:
        folders = Folders.under(Path(folder))
        stack = stacks.start(supervisor, folders, profile="demo", port=None)
        cast = cast_of(workload.sites)
        rows = rows_of(cast, folders.state / "hospitals")
        with Telling(Console(quiet=True), story.PREPARING_STEPS) as tell:
            prepared = story.prepare(stack, cast, rows, tell, lambda pi, study: _submit(pi, study, workload))
        with Watch(supervisor, {"server": SERVER}) as watch:
            _come_to_rest(watch)
            return _run(prepared, cast, workload, watch)


def cast_of(sites: int) -> Cast:
    """The demo's people and so many sites; those beyond the demo's four hospitals are plainly made up."""
    cast = make_cast()
    more = tuple(
        Hospital(f"Site {number}", f"site-{number}", "Nowhere", "US", _admin(number))
        for number in range(len(cast.hospitals) + 1, sites + 1)
    )
    return replace(cast, hospitals=(*cast.hospitals[:sites], *more))


def _admin(number: int) -> Person:
    return Person(f"site-{number}@demo.example", f"Demo Admin Site {number}", f"site admin, site-{number}")


def rows_of(cast: Cast, folder: Path) -> dict[str, Path]:
    """A file of rows for each site: the four centres' over and over."""
    paths = list(write_centres(folder).values())
    return {hospital.centre: paths[place % len(paths)] for place, hospital in enumerate(cast.hospitals)}


def _submit(investigator: Transport, study: str, workload: Workload) -> str:
    bundle = bundles.build(bundles.source_files(workload.source))
    script = investigator.post(f"studies/{study}/scripts", {"name": workload.source.name.replace("_", "-")})
    version = investigator.upload(f"scripts/{script['id']}/versions", "bundle", "measured.fab", bundle)
    return str(version["id"])


def _come_to_rest(watch: Watch) -> None:
    """Wait until all are idle: a node imports what a script needs once it is approved, which is no part of a run.

    Raises TimeoutError when somebody is at work for over a minute.
    """
    until = time.monotonic() + RESTED_WITHIN_S
    used, since = sum(watch.cpu_s().values()), time.monotonic()
    while time.monotonic() < until:
        time.sleep(1)
        used_now, now = sum(watch.cpu_s().values()), time.monotonic()
        if used_now - used < RESTING_CPU_SHARE * (now - since):
            return
        used, since = used_now, now
    raise TimeoutError("The deployment did not come to rest before its run.")


def _run(prepared: story.Prepared, cast: Cast, workload: Workload, watch: Watch) -> Job:
    session = prepared.sessions.of(cast.investigator)
    plan: dict[str, Any] = {"version": prepared.version, "strategy": "fedavg", "rounds": workload.rounds}
    plan |= {"label": "measured", "config": dict(workload.config), "deadline_s": ROUND_WITHIN_S}
    plan |= {"transport": workload.transport}
    before, began = watch.cpu_s(), time.monotonic()
    firsts: list[float] = []

    def told(committed: int) -> None:
        # The preparation is round 0: the first training round is the second that is committed.
        if committed >= 1 and not firsts:
            firsts.append(time.monotonic() - began)

    done = runs.follow(session, runs.start(session, prepared.study, plan), told)
    job_s, after = time.monotonic() - began, watch.cpu_s()
    used = {part: round(after[part] - before.get(part, 0.0), 2) for part in after}
    training = [item for item in done.rounds if item["number"] > 0]
    moved = sum(item["bytes_sent"] + item["bytes_received"] for item in training)
    peaks = {part: round(size) for part, size in watch.peak_mb.items()}
    figures = Figures(
        round_median_s=median(done.round_durations_s),
        rounds=workload.rounds,
        cpu_s_per_round=sum(used.values()) / workload.rounds,
        start_s=firsts[0],
        job_s=job_s,
        peak_mb={
            "server": peaks.pop("server"),
            "total": peaks.pop("total"),
            "site": max(size for part, size in peaks.items() if part.startswith("node ")),
        },
        wan_mb_per_round=moved / workload.rounds / 1e6,
    )
    return Job(figures, used, peaks, done.refusals)
