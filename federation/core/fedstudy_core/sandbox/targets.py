"""What the probes attack: files, sockets and a process put up for the occasion, and the node's own key."""

import json
import os
import secrets
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from fedstudy_core.readiness import readable
from fedstudy_core.sandbox.cgroups import Ceiling
from fedstudy_core.sandbox.forking import ForkServer
from fedstudy_core.sandbox.launching import LaunchError, Walled, Walls
from fedstudy_core.sandbox.levels import Finding

MODULE = "fedstudy_core.sandbox.probes"
PATIENCE = 20.0
_CEILING = Ceiling(memory_mb=96, processes=40, processors=1)


def attack(
    walls: Walls, home: Path, folder: Path, *, names: Sequence[str], server: ForkServer | None = None
) -> list[Finding]:
    """Run probes behind walls and return what they found. Raises LaunchError when they cannot even start.

    Args:
        server: fork them from this one, as scripts are that do not start anew.
    """
    slot, dataset = folder / "slot", folder / "dataset.csv"
    (slot / "app").mkdir(parents=True)
    (slot / "app" / "script.py").write_text("# a script\n")
    dataset.write_text("age\n63\n")
    view = walls.view(slot, dataset)
    with standing(home, folder) as targets:
        own = {
            "app": str(view.app),
            "script": str(view.app / "script.py"),
            "scratch": str(view.scratch),
            "dataset": str(view.dataset),
        }
        started = walls.start(
            MODULE,
            slot=slot,
            dataset=dataset,
            threads=1,
            words=names,
            ceiling=_CEILING,
            server=server,
        )
        return _findings(started, targets | own)


def _findings(started: Walled, targets: Mapping[str, Any]) -> list[Finding]:
    try:
        out, errors = _converse(started, json.dumps(targets).encode())
    finally:
        started.kill()
        started.close_errors()
    try:
        said = json.loads(out)
    except ValueError as error:
        words = errors.decode(errors="replace").strip().splitlines()
        raise LaunchError(words[-1][-300:] if words else "they said nothing") from error
    if said["must"]:
        raise LaunchError(f"a script could not work: {said['must']}")
    return [Finding(name, bool(found["open"]), str(found["detail"])) for name, found in said["findings"].items()]


def _converse(started: Walled, words: bytes) -> tuple[bytes, bytes]:
    """Hand the probes their targets and return what they wrote to standard output and error. Raises LaunchError."""
    process = started.process
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("a process was started without its pipes")
    with suppress(BrokenPipeError), process.stdin:
        process.stdin.write(words)
    said = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}
    waiting, until = list(said), time.monotonic() + PATIENCE
    while waiting:
        for descriptor in readable(waiting, until - time.monotonic()):
            part = os.read(descriptor, 65_536)
            said[descriptor] += part
            if not part:
                waiting.remove(descriptor)
        if time.monotonic() > until:
            raise LaunchError(f"the probes did not end within {PATIENCE:.0f} s")
    return said[process.stdout.fileno()], said[process.stderr.fileno()]


@contextmanager
def standing(home: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Put up what is attacked, and return where it is."""
    word = f"probe-victim-{secrets.token_hex(8)}"
    other = folder / "other"
    other.mkdir(parents=True, mode=0o700)
    (other / "rows.csv").write_text("63,1\n")
    (folder / "host.txt").write_text("of the hospital\n")
    key = home / "keys" / "identity.pem"
    with ExitStack() as stack:
        names = _listeners(stack, folder)
        victim = stack.enter_context(_victim(word))
        yield names | {
            "file": str(folder / "host.txt"),
            "folder": str(folder),
            "other": str(other / "rows.csv"),
            "home": str(home),
            "key": str(key if key.exists() else folder / "host.txt"),
            "python": sysconfig.get_paths()["purelib"],
            "secret": word,
            "word": word,
            "agent": victim,
            "victim": victim,
            "canary": "/etc/canary",
            "most_processes": _CEILING.processes,
            "most_memory_mb": _CEILING.memory_mb,
        }


@contextmanager
def _victim(word: str) -> Iterator[int]:
    """A process of the hospital with a secret in its environment, which waits until it is ended."""
    waiting = "import sys; sys.stdin.read()"
    command = [sys.executable, "-I", "-S", "-c", waiting, word]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={"SECRET": word}, start_new_session=True) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def _listeners(stack: ExitStack, folder: Path) -> dict[str, Any]:
    """Open a service of every kind."""
    abstract = f"fedstudy-probe-{secrets.token_hex(8)}"
    path = folder / "service"
    tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", 0))
    named = stack.enter_context(socket.socket(socket.AF_UNIX))
    named.bind(str(path))
    named.listen()
    hidden = stack.enter_context(socket.socket(socket.AF_UNIX))
    hidden.bind("\0" + abstract)
    hidden.listen()
    answering = threading.Thread(target=_answer, args=(udp,), daemon=True)
    answering.start()
    stack.callback(_stop, udp, answering)
    ports = {"tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1]}
    return ports | {"unix": str(path), "abstract": abstract}


def _answer(udp: socket.socket) -> None:
    """Answer every datagram as a name server would, until an empty one comes."""
    with suppress(OSError):
        while True:
            asked, sender = udp.recvfrom(512)
            if not asked:
                return
            udp.sendto(asked, sender)


def _stop(udp: socket.socket, answering: threading.Thread) -> None:
    udp.sendto(b"", udp.getsockname())
    answering.join(timeout=2)
