"""What gate and sandbox cost: rounds with the strongest sandbox and without any, in turn, at the same four sites.

The gate cannot be switched off, so its share is measured by itself: its whole check of a real message, timed in one
process. The sandbox has a setting (`sandbox` in node.toml), and both ways of running take turns on one stack.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from rich.console import Console

from bench import machine, pages
from devstack import stack as stacks
from devstack.demo import people, runs, story
from devstack.demo.cast import Cast, make_cast
from devstack.demo.story import Prepared
from devstack.demo.telling import Telling
from devstack.nodes import NodeCommandError
from devstack.processes import Supervisor
from devstack.services import Folders
from devstack.stack import Stack
from federation.library.heart_disease.source import write_centres
from fedstudy_core import bundle as bundles
from fedstudy_core.flower import Order
from fedstudy_core.sandbox.choosing import BARE, Sandbox, choose
from fedstudy_core.statement import read_unverified
from fedstudy_node.approvals import Approvals
from fedstudy_node.datasets import Datasets
from fedstudy_node.gate import Gate, Script
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger

TURNS = 5
MESSAGES_A_ROUND = 2
CONNECTED_WITHIN_S = 60.0
CHECKS = 300
STARTS = 15
MOST_SHARE = 0.05
MOST_START_S = 0.1
_CHILD = "fedstudy_node.child"


def measure(*, rounds_each: int) -> dict[str, Any]:
    """Measure on a stack of its own; times are in seconds. Raises runs.RunFailed."""
    people.SANDBOX_OF_REAL_DATA = "S0"  # the same approvals let both ways of running through
    folders, cast = Folders.throwaway(), make_cast()
    before = machine.load()
    with Supervisor() as supervisor, Telling(Console(quiet=True), 1) as tell:
        stack = stacks.start(supervisor, folders, profile="demo", port=None)
        prepared = story.prepare(stack, cast, write_centres(folders.state / "hospitals"), tell)
        taken: dict[str, list[float]] = {"walls": [], "bare": []}
        for _ in range(TURNS):
            for way, level in (("bare", "S0"), ("walls", "")):
                taken[way] += _play(stack, cast, prepared, level, rounds_each // TURNS)
        home = Home(stack.node(cast.hospitals[0].node).home)
        check_s = gate_check_s(home)
        prepared.sessions.close()
    with tempfile.TemporaryDirectory(prefix="fedstudy-bench-") as folder:
        sandbox = choose(Path(folder))
        start_s = sandbox_start_s(sandbox, Path(folder))
    walls, bare = median(taken["walls"]), median(taken["bare"])
    gate = check_s * MESSAGES_A_ROUND
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {**machine.describe(), "load": {"before": before, "after": machine.load()}},
        "sandbox": sandbox.level,
        "rounds": len(taken["walls"]),
        "round_median_s": {"with": round(walls, 4), "without_sandbox": round(bare, 4)},
        "round_s": taken,
        "gate_check_s": round(check_s, 5),
        "gate_a_round_s": round(gate, 5),
        "share": round((walls - (bare - gate)) / (bare - gate), 4),
        "most_share": MOST_SHARE,
        "start_s": start_s,
        "most_start_s": MOST_START_S,
    }


def _play(stack: Stack, cast: Cast, prepared: Prepared, level: str, count: int) -> list[float]:
    """Restart the four agents with this sandbox and run the study; return the rounds' seconds."""
    for hospital in cast.hospitals:
        home = Home(stack.node(hospital.node).home)
        home.save(replace(home.settings(), sandbox=level))
        stack.supervisor.restart(f"node {hospital.node}")
    for hospital in cast.hospitals:
        _wait_connected(stack, hospital.node)
    session = prepared.sessions.of(cast.investigator)
    plan = {"version": prepared.version, "strategy": "fedavg", "rounds": count, "label": f"bench {level or 'walls'}"}
    finished = runs.follow(session, runs.start(session, prepared.study, plan), lambda _: None)
    return finished.round_durations_s


def _wait_connected(stack: Stack, name: str) -> None:
    """Wait until the restarted agent has its connections. Raises NodeCommandError when it never has."""
    until = time.monotonic() + CONNECTED_WITHIN_S
    while True:
        try:
            stack.node(name).command("status")
        except NodeCommandError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


def gate_check_s(home: Home) -> float:
    """Median seconds of the gate's whole check of a training message, warm as in a run."""
    signed = Approvals(home).all()[0]
    statement = read_unverified(signed.envelope)
    fab = (home.bundles_path / f"{signed.script_sha256}.fab").read_bytes()
    config = bundles.inspect(fab).default_config
    script = Script(signed.script_sha256, len(fab), lambda: config, lambda: "strategy")
    order = Order(
        study=statement.study,
        run=str(uuid4()),
        round=1,
        phase="train",
        message_type="train",
        sites=4,
        rounds=3,
        deadline=(datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        model_sha256="",
        approval=signed.envelope,
        dataset=statement.dataset.id,
    )
    taken = []
    with closing(Ledger(home.ledger_path)) as ledger:
        gate = Gate(home, ledger, Datasets(home), Approvals(home), sandbox=BARE.report)
        for _ in range(CHECKS):
            began = time.perf_counter()
            gate.check(order, script, message_type="train", for_client_app=True)
            taken.append(time.perf_counter() - began)
    return median(taken)


def sandbox_start_s(sandbox: Sandbox, folder: Path) -> dict[str, float]:
    """Median seconds from the start of a script's process to its end, with walls and without; they take turns.

    The process imports what every script's process does and ends when its pipe is closed: the imports cancel out.
    """
    taken: dict[str, list[float]] = {"with": [], "without": []}
    for number in range(STARTS + 1):
        for way, walls in (("without", BARE.walls), ("with", sandbox.walls)):
            began = time.perf_counter()
            walled = walls.start(_CHILD, slot=folder / f"{way}-{number}", dataset=None, threads=1)
            if walled.process.stdin is not None:
                walled.process.stdin.close()
            if walled.process.wait():
                raise RuntimeError(f"a process {way} walls ended with {walled.process.returncode}")
            if number:  # the first of each warms the disk
                taken[way].append(time.perf_counter() - began)
            walled.kill()
            with suppress(OSError):
                walled.close_errors()
    found = {way: median(seconds) for way, seconds in taken.items()}
    return {way: round(seconds, 4) for way, seconds in (found | {"beyond": found["with"] - found["without"]}).items()}


def as_markdown(result: Mapping[str, Any]) -> str:
    """The result as a page of Markdown."""
    host, times, start = result["machine"], result["round_median_s"], result["start_s"]
    share = "met" if result["share"] <= result["most_share"] else "missed"
    if host["load"]["before"] > host["cores"]:  # of others: what is at work afterwards is the measurement
        share = "not decided, because more processes than cores were at work: measure again on an idle machine"
    begun = "met" if start["beyond"] <= result["most_start_s"] else "missed"
    loads = ", ".join(f"{load} {when}" for when, load in host["load"].items())
    return f"""# What gate and sandbox cost

The heart disease study at four sites, {result["rounds"]} rounds each way in turn. {result["measured_at"]};
{host["cores"]} cores, {host["memory_gb"]} GB, {host["system"]}. Processes wanting a core: {loads}.

| | seconds |
|---|---|
| median round, sandbox {result["sandbox"]} and gate | {times["with"]:.3f} |
| median round, no sandbox (S0), gate | {times["without_sandbox"]:.3f} |
| one check of the gate (median of {CHECKS}) | {result["gate_check_s"]:.4f} |
| start of a script's process, sandbox {result["sandbox"]} | {start["with"]:.3f} |
| start of a script's process, no sandbox | {start["without"]:.3f} |

Gate and sandbox together add {result["share"]:.1%} to the median round;
the target of at most {result["most_share"]:.0%} is {share}.
The sandbox adds {start["beyond"] * 1000:.0f} ms to the
start of a process; the target of at most {result["most_start_s"] * 1000:.0f} ms is {begun}.
The gate cannot be switched off: its share is its timed check, twice a round.
"""


def main() -> int:
    """Measure, write into bench/results, and print the page."""
    parser = argparse.ArgumentParser(prog="make bench-gate", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="rounds each way (50)")
    arguments = parser.parse_args()
    try:
        result = measure(rounds_each=arguments.rounds)
    except runs.RunFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    data, text = pages.write(result, "gate", page=as_markdown(result))
    print(text.read_text("utf-8"))
    print(f"written: {data} and {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
