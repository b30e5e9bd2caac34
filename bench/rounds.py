"""Seconds a round takes in FedStudy and in stock Flower: same app, rows, sites and machine, one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine, raw_flower

RESULTS = Path(__file__).parent / "results"
TARGET_S = 1.0
DEMO_WITHIN_S = 1200.0


class DemoFailed(Exception):
    """The demo ended early; the message holds the end of what it said."""


def measure(*, rounds: int, raw_rounds: int) -> dict[str, Any]:
    """Measure both, FedStudy first; raises DemoFailed or RawFlowerError. Times are in seconds."""
    loads = {"before": machine.load()}
    fedstudy = measure_fedstudy(rounds)
    loads["between"] = machine.load()
    with tempfile.TemporaryDirectory(prefix="raw-flower-") as folder:
        raw = raw_flower.measure(rounds=raw_rounds, run_config={}, folder=Path(folder))
    loads["after"] = machine.load()
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {**machine.describe(), "load": loads},
        "fedstudy": fedstudy,
        "raw_flower": asdict(raw),
        "target_s": TARGET_S,
        "times_faster": round(raw.round_median_s / fedstudy["round_median_s"], 1),
    }


def measure_fedstudy(rounds: int) -> dict[str, Any]:
    """Play the demo's study with so many rounds and take its figures; raises DemoFailed."""
    with tempfile.TemporaryDirectory(prefix="fedstudy-bench-") as folder:
        figures = Path(folder) / "demo.json"
        command = [sys.executable, "-m", "devstack.demo", "--exit", "--json", str(figures), "--rounds", str(rounds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEMO_WITHIN_S, check=False)
        if done.returncode:
            raise DemoFailed(f"{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
        played = json.loads(figures.read_text("utf-8"))
    return {
        "sites": len(played["sites"]),
        "rounds": played["rounds"],
        "refusals": played["refusals"],
        "round_median_s": played["timings"]["round_median_s"],
        "first_round_s": played["timings"]["first_round_s"],
        "timings": played["timings"],
    }


def write(result: dict[str, Any], name: str, folder: Path = RESULTS, *, page: str = "") -> tuple[Path, Path]:
    """Write the result as ``<name>.json`` and as a page, by default the table of this comparison, in ``<name>.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    data, text = folder / f"{name}.json", folder / f"{name}.md"
    data.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    text.write_text(page or as_markdown(result), "utf-8")
    return data, text


def as_markdown(result: dict[str, Any]) -> str:
    """The result as a page of Markdown."""
    ours, raw, host = result["fedstudy"], result["raw_flower"], result["machine"]
    met = "met" if ours["round_median_s"] <= result["target_s"] else "missed"
    loads = ", ".join(f"{load} {when}" for when, load in host["load"].items())
    return f"""# Seconds a round, FedStudy and stock Flower

The heart disease study (14 weights), train and evaluate at {ours["sites"]} sites: the same app, rows and machine, one
system after the other. {result["measured_at"]}; {host["cores"]} cores, {host["memory_gb"]} GB, {host["system"]};
Python {host["python"]}, Flower {host["packages"]["flwr"]}, torch {host["packages"]["torch"]}.
Processes wanting a core, over the last minute: {loads}.

| | rounds | median round | first round, from the start |
|---|---|---|---|
| FedStudy | {ours["rounds"]} | {ours["round_median_s"]:.2f} s | {ours["first_round_s"]:.1f} s |
| stock Flower | {raw["rounds"]} | {raw["round_median_s"]:.2f} s | {raw["first_round_s"]:.1f} s |

FedStudy is {result["times_faster"]:g} times as fast. The target of {result["target_s"]:g} s a round is {met}.
Stock Flower used {raw["cpu_s_per_round"]:g} CPU seconds a round: it starts a process for every message, and each
imports torch anew.
"""
