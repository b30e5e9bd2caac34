"""Stock Flower on the same app and the same rows.

One flower-superlink and a flower-supernode for each site with TLS, as their manuals start them, and ``flwr run``. Only
the settings that would reach out to the network are turned off. All of it ends with this process.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median

import httpx
import psutil

from bench import machine
from bench.figures import Figures
from bench.processes import Watch
from bench.workloads import Workload
from devstack import certificates
from devstack.ports import free_port
from devstack.processes import Command, Supervisor
from federation.library.heart_disease.source import write_centres

PROGRAMS = Path(sys.executable).parent
CONNECTION = "bench"
NODES_WITHIN_S = 90.0
ROUND_WITHIN_S = 240.0
LOOK_S = 0.5
SPARE_MEMORY = 2 * 1024**3
_ROUND = re.compile(r"\[ROUND (\d+)/\d+\]")
_FINISHED = "Strategy execution finished"


class RawFlowerError(Exception):
    """Flower did not come up, or its run did not finish; the message holds the end of its log."""


def measure(workload: Workload, *, rounds: int, folder: Path) -> Figures:
    """Run the workload's app in ``folder`` for so many rounds; raises RawFlowerError."""
    with Supervisor() as supervisor:
        superlink, environment = _start_superlink(supervisor, folder)
        rows = list(write_centres(folder / "rows").values())
        for number in range(workload.sites):
            supervisor.launch(_supernode(number, rows[number % len(rows)], superlink, folder, environment))
        _wait_for_nodes(workload.sites, environment)
        config = {**workload.config, "num-server-rounds": rounds}
        pids = [child.pid for child in supervisor.children]
        started, stamps = time.monotonic(), _Stamps(pids)
        with Watch(supervisor) as watch:
            _run(workload.source, config, environment, stamps, deadline_s=(rounds + 2) * ROUND_WITHIN_S)
        moved = _moved_mb(environment)
    if len(stamps.rounds) != rounds or stamps.finished is None:
        raise RawFlowerError(f"flwr run did not finish {rounds} rounds:\n{stamps.tail()}")
    moments = [*(stamp for stamp, _ in stamps.rounds), stamps.finished[0]]
    peaks = dict(watch.peak_mb)
    return Figures(
        round_median_s=median(after - before for before, after in pairwise(moments)),
        rounds=rounds,
        cpu_s_per_round=(stamps.finished[1] - stamps.rounds[0][1]) / rounds,
        start_s=moments[1] - started,
        job_s=moments[-1] - started,
        peak_mb={
            "total": peaks.pop("total"),
            "server": peaks.pop("flower-superlink"),
            "site": max(peaks.values()),
        },
        wan_mb_per_round=moved / rounds,
    )


class _Stamps:
    """When Flower's log says that a round begins, and the CPU time used until then."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._lines: list[str] = []
        self.rounds: list[tuple[float, float]] = []
        self.finished: tuple[float, float] | None = None

    def read(self, line: str) -> None:
        self._lines.append(line)
        if _ROUND.search(line):
            self.rounds.append(self._now())
        elif _FINISHED in line:
            self.finished = self._now()

    def tail(self) -> str:
        return "".join(self._lines[-30:])

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), machine.cpu_seconds(self._pids)


def _start_superlink(supervisor: Supervisor, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Start it and return how a SuperNode is told of it, and the environment that all programs share."""
    files = certificates.make(folder / "tls")
    port = free_port()
    environment = {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "FLWR_HOME": str(folder / "flower"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    (folder / "flower").mkdir()
    (folder / "flower" / "config.toml").write_text(
        f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\n'
        f'address = "127.0.0.1:{port}"\nroot-certificates = "{files.authority}"\n',
        "utf-8",
    )
    trust = ssl.create_default_context(cafile=str(files.authority))
    supervisor.start(
        Command(
            name="flower-superlink",
            argv=[
                *(str(PROGRAMS / "flower-superlink"), "--host", "127.0.0.1", "--port", str(port)),
                *("--ssl-certfile", str(files.certificate), "--ssl-keyfile", str(files.key)),
                *("--ssl-ca-certfile", str(files.authority), "--disable-runtime-dependency-installation"),
            ],
            log=folder / "superlink.log",
            env=environment,
            cwd=folder,
            ready=lambda: _answers(f"https://127.0.0.1:{port}/openapi.json", trust),
        )
    )
    return ["--superlink", f"127.0.0.1:{port}", "--root-certificates", str(files.authority)], environment


def _supernode(number: int, rows: Path, superlink: list[str], folder: Path, environment: Mapping[str, str]) -> Command:
    return Command(
        name=f"flower-supernode {number}",
        argv=[
            *(str(PROGRAMS / "flower-supernode"), *superlink, "--port", str(free_port())),
            *("--node-config", f'dataset-path="{rows}"'),
        ],
        log=folder / f"supernode-{number}.log",
        env={**environment, "FLWR_HOME": str(folder / f"supernode-{number}")},
        cwd=folder,
    )


def _wait_for_nodes(wanted: int, environment: Mapping[str, str]) -> None:
    deadline = time.monotonic() + NODES_WITHIN_S
    command = [str(PROGRAMS / "flwr"), "supernode", "list", CONNECTION, "--format", "json"]
    while True:
        listed = subprocess.run(command, capture_output=True, text=True, env=dict(environment), check=False)
        if listed.stdout.count('"online"') >= wanted:
            return
        if time.monotonic() > deadline:
            raise RawFlowerError(f"{wanted} SuperNodes were not online in {NODES_WITHIN_S:g} s:\n{listed.stdout}")


def _moved_mb(environment: Mapping[str, str]) -> float:
    """What the SuperLink says that its one run moved over the sites' links."""
    command = [str(PROGRAMS / "flwr"), "list", CONNECTION, "--format", "json"]
    told = subprocess.run(command, capture_output=True, text=True, env=dict(environment), check=False)
    return float(json.loads(told.stdout)["runs"][0]["network-traffic"]["total-bytes"]) / 1e6


def _run(
    source: Path, config: Mapping[str, object], environment: Mapping[str, str], stamps: _Stamps, deadline_s: float
) -> None:
    """`flwr run --stream` until the strategy has finished, the log ends, the time is over or memory runs short."""
    words = [f"{name}={json.dumps(value)}" for name, value in config.items()]
    command = [str(PROGRAMS / "flwr"), "run", str(source), CONNECTION, "--stream", "--run-config", " ".join(words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(environment)
    ) as streaming:
        ended = threading.Event()
        watchdog = threading.Thread(target=_watch, args=(streaming, ended, deadline_s), daemon=True)
        watchdog.start()
        try:
            assert streaming.stdout is not None
            for line in streaming.stdout:
                stamps.read(line)
                if stamps.finished:
                    break
        finally:
            ended.set()
            streaming.kill()


def _watch(streaming: subprocess.Popen[str], ended: threading.Event, deadline_s: float) -> None:
    """End the streaming, and with it the measurement, when the time is over or memory runs short."""
    deadline = time.monotonic() + deadline_s
    while not ended.wait(LOOK_S):
        if time.monotonic() > deadline or psutil.virtual_memory().available < SPARE_MEMORY:
            streaming.kill()
            return


def _answers(address: str, trust: ssl.SSLContext) -> bool:
    try:
        return httpx.get(address, verify=trust, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
