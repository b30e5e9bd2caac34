"""The stage that faults are made on: a real stack, one node of it behind doors, and the run that nothing disturbed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from devstack.demo import runs
from devstack.demo.cast import Hospital
from devstack.processes import Child, Command
from devstack.stack import ROOT
from fedstudy_client.problem import FedStudyProblem
from tests.faults.checker import Checker
from tests.faults.proxy import FAIR, Door, Weather
from tests.stage import Json, Stage

GLANCE_S = 0.1
DEADLINE_S = 120


class Missed(Exception):
    """What was expected did not come about."""


def until(seconds: float, what: str, condition: Callable[[], object]) -> float:
    """Wait for a condition; returns after how many seconds it held. Raises Missed."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > seconds:
            raise Missed(f"not within {seconds:g} s: {what}")
        time.sleep(GLANCE_S)
    return time.monotonic() - begun


class Theatre:
    """A stage, its checker, the victim among its nodes, and the runs of the fault that is being made."""

    def __init__(self, stage: Stage, *, rounds: int) -> None:
        """`rounds` is how long the undisturbed run is that models are compared with."""
        self.stage = stage
        self.checker = Checker(stage)
        self.victim: Hospital = stage.cast.hospitals[1]
        self.runs: list[str] = []
        self._long = rounds
        self.undisturbed: dict[int, str] = {}
        self.round_s = 0.0

    # --- runs

    def rehearse(self) -> float:
        """Play the run that nothing disturbs; returns seconds a round."""
        begun = time.monotonic()
        run = self.begin(self._long, label="Undisturbed")
        self.finish(run)
        self.undisturbed = self.checker.models(run)
        self.round_s = (time.monotonic() - begun) / self._long
        return self.round_s

    def begin(self, rounds: int, **plan: Any) -> str:
        """Plan and start a run over all four sites, all of which must answer unless the plan says otherwise."""
        run = self.stage.start_run(**{"rounds": rounds, "quorum": 4, "deadline_s": DEADLINE_S, "wait_s": 60} | plan)
        self.runs.append(run)
        return run

    def run(self, run: str) -> Json:
        """The run as the API tells it; asked again while the portal is away."""
        give_up = time.monotonic() + 60
        while True:
            try:
                return self.stage.run(run)
            except FedStudyProblem:
                if time.monotonic() > give_up:
                    raise
                time.sleep(GLANCE_S)

    def committed(self, run: str) -> int:
        """Training rounds committed so far. Raises Missed when the run failed."""
        now = self.run(run)
        if now["state"] in ("failed", "stopped"):
            raise Missed(f"the run {now['state']}: {now['reason']}")
        return int(now["committed"])

    def reach(self, run: str, rounds: int, *, within: float = 90) -> float:
        """Wait until so many rounds are committed."""
        return until(within, f"round {rounds} is committed", lambda: self.committed(run) >= rounds)

    def next_commit(self, run: str, *, within: float) -> float:
        """Seconds until another round than now is committed."""
        return self.reach(run, self.committed(run) + 1, within=within)

    def finish(self, run: str, *, within: float = 240) -> Json:
        """Wait until the run is completed. Raises Missed when it ends otherwise."""
        until(within, "the run is over", lambda: self.run(run)["state"] in runs.FINAL)
        now = self.run(run)
        if now["state"] != "completed":
            raise Missed(f"the run {now['state']}: {now['reason']}")
        return now

    def stop(self, run: str) -> None:
        """Stop a run that has shown enough."""
        self.stage.investigator.post(f"runs/{run}/stop", {"reason": "The fault was seen"})

    def answers(self, run: str, *, last: int = 3) -> list[Json]:
        """What the victim answered in the newest rounds, settled or not, oldest first."""
        rounds = self.stage.rounds(run)[-last:]
        return [
            item | {"round": row["number"]} for row in rounds for item in row["sites"]
            if item["site"] == self.victim.centre
        ]  # fmt: skip

    def takes_part_after(self, run: str, number: int) -> bool:
        """Whether the victim trained in a round later than `number`."""
        return any(item["state"] == "done" and item["round"] > number for item in self.answers(run))

    def last_round(self, run: str) -> int:
        """The number of the round that is open, or was committed last."""
        return int(self.stage.rounds(run)[-1]["number"])

    # --- processes

    def child(self, name: str) -> Child:
        """A process of the stack."""
        return self.stage.stack.supervisor.child(name)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a process of the stack at once, and all that it started."""
        child = self.child(name)
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
        if number is not signal.SIGKILL:
            family = family[:1]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        child.popen.wait()
        child.kill()

    def start(self, name: str) -> None:
        """Start a process again, as a service manager would; returns when it is up."""
        self.stage.stack.supervisor.restart(name)

    @property
    def agent(self) -> str:
        """The name of the victim's agent among the processes."""
        return f"node {self.victim.node}"

    @contextmanager
    def without_worker(self) -> Iterator[None]:
        """No worker, so that a driver is the only one; started again at the end."""
        for name in ("worker", "beat"):
            self.child(name).stop()
        try:
            yield
        finally:
            for name in ("worker", "beat"):
                self.start(name)

    def driver(self, *words: str, within: float = 1200) -> Any:
        """Run `tests.faults.driver` to its end; returns what it told. Raises Missed with its errors."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.driver", *words],
            env={**self.stage.stack.environment, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=within,
        )
        if done.returncode:
            raise Missed(f"the driver failed: {done.stderr[-600:]}")
        return json.loads(done.stdout.splitlines()[-1])

    # --- the victim's place

    def victims_scripts(self) -> list[psutil.Process]:
        """The processes in which the victim's scripts run."""
        return self.stage.scripts(self.victim.node)

    @property
    def home(self) -> Path:
        """The victim's home."""
        return self.stage.stack.node(self.victim.node).home

    def status(self) -> Json:
        """What the victim's agent says of itself."""
        return dict(json.loads((self.home / "status.json").read_text()))

    def is_connected(self) -> bool:
        """Whether the victim's agent runs and says that both its connections stand."""
        said = self.status()
        return said["pid"] == self.child(self.agent).pid and said["fleet"] == said["portal"] == "connected"

    def restart_agent(self) -> float:
        """Start the victim's agent anew; returns after how many seconds it was connected."""
        self.start(self.agent)
        return until(60, "the node is connected", self.is_connected)

    def restart_agent_as(self, command: Command) -> None:
        """Start the victim's agent anew by another command, under the same name."""
        self.child(self.agent).stop()
        self.stage.stack.supervisor.children.remove(self.child(self.agent))
        self.stage.stack.supervisor.launch(command)

    @contextmanager
    def behind_doors(self) -> Iterator[Callable[[Weather], list[Door]]]:
        """The victim's ways out lead through doors; yields what sets the weather at both."""
        file = self.home / "node.toml"
        before = file.read_text()
        portal = urlsplit(self.stage.stack.portal_url).netloc
        doors = [Door(self.stage.stack.superlink.address), Door(portal)]
        changed = before
        for old, door in zip((self.stage.stack.superlink.address, portal), doors, strict=True):
            changed = re.sub(re.escape(old), door.address, changed)

        def set_weather(weather: Weather) -> list[Door]:
            for door in doors:
                door.set(weather)
            return doors

        file.write_text(changed)
        try:
            self.restart_agent()
            yield set_weather
        finally:
            set_weather(FAIR)
            file.write_text(before)
            self.restart_agent()
            for door in doors:
                door.close()

    def settle(self) -> None:
        """After a fault: everything up, no run live, every node connected."""
        for run in self.runs:
            if self.run(run)["state"] not in runs.FINAL:
                self.stop(run)
        for child in self.stage.stack.supervisor.ended():
            self.start(child.command.name)
        until(60, "the victim's node is connected", self.is_connected)
        until(60, "every node is online", self._all_online)

    def _all_online(self) -> bool:
        return all(
            self.stage.prepared.sessions.of(hospital.admin).get(
                f"nodes/{self.stage.prepared.nodes[hospital.centre]}"
            )["online"]
            for hospital in self.stage.cast.hospitals
        )  # fmt: skip


def pytest_passes(*nodes: str) -> str:
    """Run tests that make a fault by themselves; returns what pytest said last. Raises Missed when one fails."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FEDSTUDY_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *nodes],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    last: Sequence[str] = [line for line in done.stdout.splitlines() if line.strip()] or [done.stderr[-200:]]
    said = re.sub(r" in [\d.]+s.*", "", last[-1]).strip("= ")
    if done.returncode:
        raise Missed(f"{said}: {' '.join(line for line in last if line.startswith('FAILED'))[:300]}")
    return said
