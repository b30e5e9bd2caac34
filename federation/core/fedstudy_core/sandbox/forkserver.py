"""The process that scripts' processes are forked from: `python -P -m fedstudy_core.sandbox.forkserver FD PARENT`.

Importing torch takes seconds and 200 MB; this process does it once for all runs of a node. It runs nothing of a
study's and knows nothing of the node's: it imports what it is told to, and forks. What it is told comes through a
socket, one JSON object a packet:

    {"import": [MODULE, ...]}  answered by one packet when all are imported, or tried
    {"module", "words", "environment", "folder", "beside"}  with five descriptors: standard input, output and errors of
        the new process, a pipe for what is said of it, and one that holds it until a byte comes and ends it when closed

For each process that is asked for there are two. The keeper stays outside, waits, and says in lines of JSON
`{"keeper": PID}`, `{"started": PID}`, `{"ended": STATUS}`, or `{"failed": WHY}`. The process itself is forked once the
keeper has entered the namespaces of the process `beside` (0: none), and runs the module's `main` with
`words` as its arguments.
"""

import gc
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from fedstudy_core.readiness import readable
from fedstudy_core.sandbox import joining
from fedstudy_core.sandbox.inside import die_with_maker, die_with_parent

PACKET = 128 * 1024
ENDS = 5
IMPORTED = b"imported"


@dataclass(frozen=True)
class Ends:
    """The descriptors that came with a request."""

    stdin: int
    stdout: int
    stderr: int
    said: int
    go: int

    @property
    def of_the_process(self) -> tuple[int, int, int]:
        """Those that the process gets."""
        return self.stdin, self.stdout, self.stderr

    def all(self) -> tuple[int, ...]:
        """All of them."""
        return (*self.of_the_process, self.said, self.go)


def serve(control: socket.socket) -> None:
    """Import and fork as told, until the other end of the socket is closed."""
    signal.signal(signal.SIGCHLD, _reap)
    own = os.getpid()
    while True:
        packet, descriptors, _, _ = socket.recv_fds(control, PACKET, ENDS)
        if not packet:
            return
        asked = json.loads(packet)
        if "import" in asked:
            _import(asked["import"])
            control.send(IMPORTED)
            continue
        ends = Ends(*descriptors)
        if os.fork() == 0:
            control.close()
            _keep(asked, ends, own)
        for end in ends.all():
            os.close(end)


def _reap(*_: object) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _import(modules: Sequence[str]) -> None:
    """Import what is there; a script that needs what is not will say so. Nothing of it is garbage from then on."""
    for module in modules:
        with suppress(ImportError):
            import_module(module)
    gc.collect()
    gc.freeze()


def _keep(asked: dict[str, Any], ends: Ends, server: int) -> NoReturn:
    """Be the keeper of one process, and end with the server."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with_parent(server)
        _say(ends, "keeper", os.getpid())
        if os.read(ends.go, 1):
            _say(ends, "ended", _run(asked, ends))
            status = 0
    except Exception as error:  # noqa: BLE001 - whatever it was, the agent must hear of it
        _say(ends, "failed", f"{type(error).__name__}: {error}")
    finally:
        os._exit(status)


def _run(asked: dict[str, Any], ends: Ends) -> int:
    """Fork the process where it belongs, and wait for its end."""
    if asked["beside"]:
        _go_first_when_memory_runs_out()
        joining.join(int(asked["beside"]))
        joining.give_up_rights()
    keeper_lives, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(held)
        _become(asked, ends, keeper_lives)
    os.close(keeper_lives)
    for end in ends.of_the_process:
        os.close(end)
    _say(ends, "started", pid)
    return _end_of(pid, ends.go)


def _end_of(pid: int, go: int) -> int:
    """Wait until the process has ended or must; end what it started with it, before its number can be another's."""
    handle = os.pidfd_open(pid)
    readable([handle, go])
    os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):  # it may have ended before it led a group
        os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _go_first_when_memory_runs_out() -> None:
    """Behind the walls /proc is read-only."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _become(asked: dict[str, Any], ends: Ends, keeper_lives: int) -> NoReturn:
    """Be the process: with nothing open but its pipes, and an environment of its own."""
    status = 1
    try:
        for number, end in enumerate((*ends.of_the_process, keeper_lives)):
            os.dup2(end, number)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        os.setsid()
        joining.own_its_files()
        die_with_keeper(3)
        os.environ.clear()
        os.environ.update(asked["environment"])
        os.chdir(asked["folder"])
        _draw_other_numbers()
        sys.argv = [asked["module"], *asked["words"]]
        import_module(asked["module"]).main()
        status = 0
    except SystemExit as exit_:
        status = _status_of(exit_)
    except BaseException:  # noqa: BLE001 - as Python does where nobody catches it
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def die_with_keeper(keeper_lives: int) -> None:
    """Have the kernel end this process with its keeper, and end at once where that is gone already.

    Args:
        keeper_lives: descriptor of a pipe whose other end the keeper alone holds; closed. In namespaces of its own a
            process does not see who its parent is.
    """
    die_with_maker()
    if readable([keeper_lives], 0):
        raise SystemExit("the keeper of this process is gone")
    os.close(keeper_lives)


def _draw_other_numbers() -> None:
    """Seed numpy's global generator anew: it was seeded where it was imported, for every process alike."""
    numbers = sys.modules.get("numpy.random")
    if numbers is not None:
        numbers.seed()


def _status_of(exit_: SystemExit) -> int:
    if exit_.code is None or isinstance(exit_.code, int):
        return exit_.code or 0
    sys.stderr.write(f"{exit_.code}\n")
    return 1


def _say(ends: Ends, what: str, value: int | str) -> None:
    os.write(ends.said, json.dumps({what: value}).encode() + b"\n")


def main() -> None:
    """Serve the agent that started this process."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent)
    with socket.socket(fileno=descriptor) as control:
        serve(control)


if __name__ == "__main__":
    main()
