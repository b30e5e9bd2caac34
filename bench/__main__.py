"""`make bench ARGS="[--only w1,w2:10,w2:100,w3:16] [--systems ours,flower,floor] [--raw-rounds 3] [--json FILE]"`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import figures, floor, job, machine, pages, raw_flower
from bench.workloads import STANDARD, Workload, workload
from devstack.demo.runs import RunFailed
from devstack.errors import SetupError


def measure(workloads: list[Workload], systems: list[str], *, raw_rounds: int) -> Iterator[dict[str, Any]]:
    """Measure each workload on each system, one after the other; what does not finish says why.

    Yields:
        After each workload, the results so far.
    """
    ways: dict[str, Callable[[Workload], dict[str, Any]]] = {
        "floor": lambda work: floor.measure(work).as_json(),
        "ours": _ours,
        "flower": lambda work: _flower(work, raw_rounds),
    }
    results: dict[str, Any] = {}
    loads = []
    for work in workloads:
        results[work.name] = {}
        for system in (system for system in ways if system in systems):
            loads.append(machine.load())
            print(f"{work.name}: {figures.SYSTEMS[system]}", file=sys.stderr, flush=True)
            told = ways[system](work)
            results[work.name][system] = told | work.against_model(told)
        yield results | {"load": [*loads, machine.load()]}


def _ours(work: Workload) -> dict[str, Any]:
    try:
        done = job.measure(work)
    except (RunFailed, SetupError) as failure:
        return {"failed": str(failure)[:300]}
    print(f"  CPU seconds: {done.cpu_s_by_part}\n  peak MB: {done.peak_mb_by_part}", file=sys.stderr, flush=True)
    return done.figures.as_json()


def _flower(work: Workload, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="raw-flower-") as folder:
        try:
            return raw_flower.measure(work, rounds=rounds, folder=Path(folder)).as_json()
        except raw_flower.RawFlowerError as failure:
            return {"failed": str(failure)[:300]}


def main() -> int:
    """Measure; after each workload write into bench/results and print the page. 1 when something did not finish."""
    parser = argparse.ArgumentParser(prog="make bench", description=figures.__doc__)
    parser.add_argument("--only", default=",".join(STANDARD), help=f"workloads ({','.join(STANDARD)})")
    parser.add_argument("--systems", default=",".join(figures.SYSTEMS), help="which to measure (all)")
    parser.add_argument("--rounds", type=int, default=50, help="rounds of w1 (50)")
    parser.add_argument("--raw-rounds", type=int, default=3, help="rounds of stock Flower (3); each takes long")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    workloads = [workload(name, rounds=arguments.rounds) for name in arguments.only.split(",")]
    failed = False
    for results in measure(workloads, arguments.systems.split(","), raw_rounds=arguments.raw_rounds):
        now = datetime.now(UTC)
        host = machine.describe() | {"measured_at": now.isoformat(timespec="seconds")}
        page, picture = figures.as_markdown(results, host), figures.as_picture(results)
        data, text = pages.write(results | {"machine": host}, f"{now:%Y-%m-%d}", page=page, picture=picture)
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        print(page)
        print(f"written: {data} and {text}", flush=True)
        failed = any("failed" in told.get("ours", {}) for name, told in results.items() if name != "load")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
