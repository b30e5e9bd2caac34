"""`python -m devstack.demo [--exit] [--json FILE] [--dossier DIR] [--rounds N] [--port P]`."""

import argparse
import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from devstack import stack as stacks
from devstack.demo import dossiers, people, report, story
from devstack.demo.cast import make_cast
from devstack.demo.hospitals import Hospitals
from devstack.demo.runs import RunFailed
from devstack.demo.telling import Telling
from devstack.errors import SetupError
from devstack.nodes import NodeCommandError
from devstack.processes import Supervisor
from devstack.services import Folders
from fedstudy_client.problem import FedStudyProblem

STATE = stacks.ROOT / ".fedstudy"
ROUNDS = 15
WATCH_S = 2.0


def main() -> int:
    """Play the demo; returns the exit code."""
    arguments = _read_arguments()
    console = Console()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _only_demo():
            _play(arguments, console)
    except KeyboardInterrupt:
        console.print("Stopped; everything was ended.")
        return 0 if not arguments.exit else 130
    except (SetupError, NodeCommandError, FedStudyProblem, RunFailed, dossiers.DossierRefused) as problem:
        print(f"\nThe demo ended early. {problem}\nLogs: {STATE / 'demo' / 'logs'}", file=sys.stderr)
        return 1
    return 0


def _read_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='make demo ARGS="..."', description="Play a federated study.")
    parser.add_argument("--exit", action="store_true", help="end when the study is played")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and timings here")
    parser.add_argument("--dossier", type=Path, metavar="DIR", help="leave the run's dossier here, verified")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of each run ({ROUNDS})")
    parser.add_argument("--port", type=int, default=stacks.PREFERRED_PORT, help="the portal's port, if it is free")
    arguments = parser.parse_args(words)
    if arguments.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if not 1 <= arguments.port <= 65535:
        parser.error("--port must be from 1 to 65535")
    if arguments.json and not _can_write(arguments.json):
        parser.error(f"--json: {arguments.json} cannot be written")
    if arguments.dossier and not _can_fill(arguments.dossier):
        parser.error(f"--dossier: {arguments.dossier} must be an empty folder, or one that can be made")
    return arguments


def _can_fill(folder: Path) -> bool:
    """Whether a folder can be made and filled; nothing that is there is overwritten."""
    if folder.exists():
        return folder.is_dir() and os.access(folder, os.W_OK) and not any(folder.iterdir())
    return _can_fill_above(folder.absolute().parent)


def _can_fill_above(folder: Path) -> bool:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK)


def _can_write(file: Path) -> bool:
    """Whether a file can be made or replaced, told before the demo plays rather than at its end."""
    return os.access(file, os.W_OK) and file.is_file() if file.exists() else os.access(file.parent, os.W_OK)


def _play(arguments: argparse.Namespace, console: Console) -> None:
    from federation.library.heart_disease.source import write_centres

    began = time.monotonic()
    cast = make_cast()
    with Supervisor() as supervisor:
        folders = Folders.under(STATE / "demo")
        with Telling(console, story.steps(len(cast.hospitals), arguments.rounds)) as tell:
            running = stacks.start(supervisor, folders, profile="demo", say=tell.note, port=arguments.port)
            ready = time.monotonic()
            rows = write_centres(folders.state / "hospitals")
            prepared = story.prepare(running, cast, rows, tell)
            outcome = story.federate(prepared, cast, rows, arguments.rounds, tell)
            played = time.monotonic()
            waiting = people.submit_second_script(prepared.sessions.of(cast.investigator), prepared.study)
        report.show_figures(console, outcome)
        dossiers.leave(prepared.sessions.of(cast.auditor), outcome.run, arguments.dossier, console.print)
        if arguments.json:
            timings = {"stack_ready_s": round(ready - began, 2), "study_s": round(played - ready, 2)}
            report.write_json(
                arguments.json, prepared, outcome, arguments.rounds, {"install_s": _install_seconds(), **timings}
            )
        if not arguments.exit:
            report.show_address(console, running, cast, outcome, waiting)
            console.print("\nPress Ctrl-C to stop everything.")
            with Hospitals(running, cast, prepared, rows, console.print).at_their_desks():
                _watch(supervisor, console)
        prepared.sessions.close()


def _watch(supervisor: Supervisor, console: Console) -> None:
    """Stay until a signal comes; say when a process of the stack ends by itself."""
    told: set[int] = set()
    never = threading.Event()
    while not never.wait(WATCH_S):
        for child in supervisor.ended():
            if child.pid not in told:
                told.add(child.pid)
                console.print(f"[yellow]{child.command.name} has ended; its log is {child.command.log}[/]")


@contextmanager
def _only_demo() -> Iterator[None]:
    """Hold the demo's folder: a second demo would remove the first one's files. Raises SetupError."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError(
                "Another demo of this checkout is running.", "stop it with Ctrl-C in its terminal first"
            ) from error
        yield


def _install_seconds() -> float:
    """How long the environment took to install, as its installer noted; 0 for one made by hand."""
    record = Path(sys.prefix) / "fedstudy.json"
    return float(json.loads(record.read_text())["install_s"]) if record.exists() else 0.0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # A terminal's Ctrl-C also reaches `make`; the processes of the stack are in sessions of their own.
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
