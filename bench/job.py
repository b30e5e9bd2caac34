"""One run of the heart disease study at four sites, from its start to its last round: time, CPU, memory, bytes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from bench.processes import Watch
from devstack import stack as stacks
from devstack.demo import runs, story
from devstack.demo.cast import Cast, make_cast
from devstack.demo.telling import Telling
from devstack.processes import Supervisor
from devstack.services import Folders
from federation.library.heart_disease.source import write_centres


@dataclass(frozen=True)
class Job:
    """Figures of one run. Times in seconds, memory in MB, bytes of the sites' links in MB."""

    rounds: int
    round_median_s: float
    start_s: float
    job_s: float
    cpu_s_per_round: float
    cpu_s_by_part: Mapping[str, float]
    peak_mb: Mapping[str, float]
    wan_mb_per_round: float
    refusals: int


def measure(*, rounds: int) -> Job:
    """Play the study up to its first run, then start that and measure it. Raises what the demo raises."""
    with tempfile.TemporaryDirectory(prefix="fedstudy-job-") as folder, Supervisor() as supervisor:
        folders = Folders.under(Path(folder))
        stack = stacks.start(supervisor, folders, profile="demo", port=None)
        cast, rows = make_cast(), write_centres(folders.state / "hospitals")
        with Telling(Console(quiet=True), story.PREPARING_STEPS) as tell:
            prepared = story.prepare(stack, cast, rows, tell)
        with Watch(supervisor) as watch:
            return _run(prepared, cast, rounds, watch)


def _run(prepared: story.Prepared, cast: Cast, rounds: int, watch: Watch) -> Job:
    session = prepared.sessions.of(cast.investigator)
    plan: dict[str, Any] = {"version": prepared.version, "strategy": "fedavg", "rounds": rounds, "label": "measured"}
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
    return Job(
        rounds=rounds,
        round_median_s=round(median(done.round_durations_s), 3),
        start_s=round(firsts[0], 2),
        job_s=round(job_s, 2),
        cpu_s_per_round=round(sum(used.values()) / rounds, 3),
        cpu_s_by_part=used,
        peak_mb={part: round(size) for part, size in watch.peak_mb.items()},
        wan_mb_per_round=round(moved / rounds / 1e6, 4),
        refusals=done.refusals,
    )
