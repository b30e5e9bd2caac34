"""Stock Flower on the same app and the same rows: `python -m bench.raw_flower [--rounds 3]`.

One flower-superlink and four flower-supernodes with TLS, as their manuals start them, and ``flwr run``. Only the
settings that would reach out to the network are turned off. All of it ends with this process.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import httpx

from bench import machine
from devstack import certificates
from devstack.ports import free_port
from devstack.processes import Command, Supervisor
from federation.library.catalogue import ready_script
from federation.library.heart_disease.source import write_centres

PROGRAMS = Path(sys.executable).parent
CONNECTION = "bench"
NODES_WITHIN_S = 90.0
ROUND_WITHIN_S = 60.0
_ROUND = re.compile(r"\[ROUND (\d+)/\d+\]")
_FINISHED = "Strategy execution finished"


@dataclass(frozen=True)
class RawFigures:
    """Seconds and CPU seconds of whole rounds (train and evaluate) at all sites, and the last accuracy."""

    sites: int
    rounds: int
    round_s: list[float]
    round_median_s: float
    cpu_s_per_round: float
    first_round_s: float


class RawFlowerError(Exception):
    """Flower did not come up, or its run did not finish; the message holds the end of its log."""


def measure(*, rounds: int, run_config: Mapping[str, object], folder: Path) -> RawFigures:
    """Run the study in ``folder`` for so many rounds; raises RawFlowerError. ``first_round_s`` is since the start."""
    with Supervisor() as supervisor:
        superlink, environment = _start_superlink(supervisor, folder)
        paths = write_centres(folder / "rows")
        for number, path in enumerate(paths.values()):
            supervisor.launch(_supernode(number, path, superlink, folder, environment))
        _wait_for_nodes(len(paths), environment)
        config = {**run_config, "num-server-rounds": rounds}
        pids = [child.pid for child in supervisor.children]
        started, stamps = time.monotonic(), _Stamps(pids)
        _run(config, environment, stamps, deadline_s=(rounds + 2) * ROUND_WITHIN_S)
    if len(stamps.rounds) != rounds or stamps.finished is None:
        raise RawFlowerError(f"flwr run did not finish {rounds} rounds:\n{stamps.tail()}")
    moments = [*(stamp for stamp, _ in stamps.rounds), stamps.finished[0]]
    durations = [round(after - before, 2) for before, after in pairwise(moments)]
    return RawFigures(
        sites=len(paths),
        rounds=rounds,
        round_s=durations,
        round_median_s=round(median(durations), 2),
        cpu_s_per_round=round((stamps.finished[1] - stamps.rounds[0][1]) / rounds, 2),
        first_round_s=round(moments[1] - started, 2),
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


def _run(config: Mapping[str, object], environment: Mapping[str, str], stamps: _Stamps, deadline_s: float) -> None:
    """`flwr run --stream` until the strategy has finished, the log ends, or the time is over."""
    words = [f"{name}={json.dumps(value)}" for name, value in config.items()]
    source = ready_script("heart_disease").source
    command = [str(PROGRAMS / "flwr"), "run", str(source), CONNECTION, "--stream", "--run-config", " ".join(words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(environment)
    ) as streaming:
        watchdog = threading.Timer(deadline_s, streaming.kill)
        watchdog.start()
        try:
            assert streaming.stdout is not None
            for line in streaming.stdout:
                stamps.read(line)
                if stamps.finished:
                    break
        finally:
            watchdog.cancel()
            streaming.kill()


def _answers(address: str, trust: ssl.SSLContext) -> bool:
    try:
        return httpx.get(address, verify=trust, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def main() -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.raw_flower", description=measure.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="raw-flower-") as folder:
        figures = measure(rounds=arguments.rounds, run_config={}, folder=Path(folder))
    print(json.dumps(asdict(figures), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
