"""What copying the bytes costs: plain loopback TCP between as many processes, and a mean, with nothing else.

One process sends the model to each site's process, which adds a number and sends it back; the first takes the mean of
what came, array by array as it comes. `python -m bench.floor PORT SITES NUMBERS ROUNDS` is the first process; with a
site's number behind, it is that site's.
"""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from bench.figures import Figures
from bench.workloads import Workload
from devstack.ports import free_port

Floats = npt.NDArray[np.float32]
HOST = "127.0.0.1"
ENOUGH_ROUNDS = 5


def measure(workload: Workload) -> Figures:
    """Copy the workload's model out and back. Raises CalledProcessError."""
    rounds = max(ENOUGH_ROUNDS, workload.rounds)
    words = [sys.executable, "-m", "bench.floor"]
    words += map(str, (free_port(), workload.sites, workload.numbers, rounds))
    began = time.monotonic()
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    job_s = time.monotonic() - began
    told = json.loads(done.stdout)
    return Figures(
        round_median_s=median(told["round_s"]),
        rounds=rounds,
        cpu_s_per_round=told["cpu_s"] / rounds,
        start_s=told["start_s"],
        job_s=job_s,
        peak_mb={
            "server": told["server_mb"],
            "site": told["site_mb"],
            "total": told["server_mb"] + workload.sites * told["site_mb"],
        },
        wan_mb_per_round=2 * workload.sites * workload.model_bytes / 1e6,
    )


def serve(port: int, sites: int, numbers: int, rounds: int) -> dict[str, object]:
    """The central process: start the sites' and play the rounds."""
    began = time.monotonic()
    listener = socket.create_server((HOST, port), backlog=sites)
    words = [sys.executable, "-m", "bench.floor", str(port), str(sites), str(numbers), str(rounds)]
    processes = [subprocess.Popen([*words, str(place)]) for place in range(sites)]
    links = [listener.accept()[0] for _ in processes]
    model = np.random.default_rng(42).random(numbers, np.float32)
    used, taken, first = _cpu_s(), [], 0.0
    for _ in range(rounds):
        start = time.monotonic()
        model = _round(links, model)
        taken.append(time.monotonic() - start)
        first = first or time.monotonic() - began
    own = _cpu_s() - used
    reports = [json.loads(link.makefile().readline()) for link in links]
    for process in processes:
        process.wait()
    return {
        "round_s": taken,
        "start_s": first,
        "cpu_s": own + sum(report["cpu_s"] for report in reports),
        "server_mb": peak_mb(),
        "site_mb": max(report["peak_mb"] for report in reports),
    }


def _round(links: list[socket.socket], model: Floats) -> Floats:
    """Send the model to all at once, and take the mean of what they send back."""
    total, lock = np.zeros_like(model), threading.Lock()

    def exchange(link: socket.socket) -> None:
        link.sendall(model.view(np.uint8).data)
        came = _receive(link, np.empty_like(model))
        with lock:
            np.add(total, came, out=total)

    threads = [threading.Thread(target=exchange, args=(link,)) for link in links]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return total / np.float32(len(links))


def visit(port: int, numbers: int, rounds: int, place: int) -> None:
    """A site's process: add a number to what comes and send it back, then tell what that cost."""
    with socket.create_connection((HOST, port)) as link:
        model = np.empty(numbers, np.float32)
        used = _cpu_s()
        for _ in range(rounds):
            _receive(link, model)
            np.add(model, np.float32(place + 1), out=model)
            link.sendall(model.view(np.uint8).data)
        link.sendall(json.dumps({"cpu_s": _cpu_s() - used, "peak_mb": peak_mb()}).encode() + b"\n")


def _receive(link: socket.socket, into: Floats) -> Floats:
    left = into.view(np.uint8).data
    while left:
        count = link.recv_into(left)
        if not count:
            raise ConnectionError("the other end is gone")
        left = left[count:]
    return into


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """The most memory that this process had resident, in MB; Linux' own count, which its parent's is not part of."""
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6


def main() -> None:
    """Be the central process or a site's, and print the figures of the first."""
    port, sites, numbers, rounds, *place = map(int, sys.argv[1:])
    if place:
        visit(port, numbers, rounds, place[0])
    else:
        print(json.dumps(serve(port, sites, numbers, rounds)))


if __name__ == "__main__":
    main()
