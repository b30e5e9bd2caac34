"""Supervised processes: ready by a condition, stopped in order, gone with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devstack.errors import SetupError
from devstack.processes import Command, Supervisor


def _python(name: str, code: str, folder: Path, **more: object) -> Command:
    return Command(name=name, argv=[sys.executable, "-c", code], log=folder / f"{name}.log", **more)  # type: ignore[arg-type]


def _gone(pid: int) -> bool:
    """Whether a process has ended (a zombie that nobody collects has)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def _wait_until(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ready_when_the_condition_holds(tmp_path: Path) -> None:
    flag = tmp_path / "up"
    code = f"import pathlib, time; pathlib.Path({str(flag)!r}).touch(); time.sleep(60)"
    with Supervisor() as supervisor:
        child = supervisor.start(_python("slow", code, tmp_path, ready=flag.exists))[0]
        assert child.running
    assert not child.running


def test_an_early_end_shows_the_log_and_says_what_to_do(tmp_path: Path) -> None:
    command = _python("broken", "raise SystemExit('port taken')", tmp_path, ready=lambda: False)
    with Supervisor() as supervisor, pytest.raises(SetupError, match="port taken") as caught:
        supervisor.start(command)
    assert str(command.log) in caught.value.remedy


def test_never_ready_is_an_error(tmp_path: Path) -> None:
    command = _python("idle", "import time; time.sleep(60)", tmp_path, ready=lambda: False, ready_timeout_s=0.2)
    with Supervisor() as supervisor, pytest.raises(SetupError, match="not ready within"):
        supervisor.start(command)


def test_stops_in_reverse_order(tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import pathlib, signal, sys, time\n"
        "def stop(*_):\n"
        f"    open({str(order)!r}, 'a').write(sys.argv[0] + NAME)\n"
        "    raise SystemExit\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "pathlib.Path(FLAG).touch()\n"
        "time.sleep(60)\n"
    )
    with Supervisor() as supervisor:
        for name in "ab":
            flag = tmp_path / name
            prelude = f"NAME, FLAG = {name!r}, {str(flag)!r}\n"
            supervisor.start(_python(name, prelude + code, tmp_path, ready=flag.exists))
    assert order.read_text().replace("-c", "") == "ba"


def test_a_deaf_process_and_its_children_are_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, pathlib, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(pids)!r}).write_text(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(60)\n"
    )
    ready = lambda: pids.exists() and len(pids.read_text().split()) == 2  # noqa: E731
    with Supervisor() as supervisor:
        supervisor.start(_python("deaf", code, tmp_path, ready=ready, stop_timeout_s=0.2))
        family = [int(word) for word in pids.read_text().split()]
    for pid in family:
        _wait_until(lambda pid=pid: _gone(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_parent_takes_its_children_along(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = (
        "import pathlib, sys, time\n"
        "from devstack.processes import Command, Supervisor\n"
        "command = Command('child', [sys.executable, '-c', 'import time; time.sleep(60)'], pathlib.Path(sys.argv[1]))\n"
        "child = Supervisor().start(command)[0]\n"
        "pathlib.Path(sys.argv[2]).write_text(str(child.pid) + '.')\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log"), str(told)])
    try:
        _wait_until(lambda: told.exists() and told.read_text().endswith("."))
        child = int(told.read_text().rstrip("."))
        os.kill(parent.pid, signal.SIGKILL)
    finally:
        parent.kill()
        parent.wait()
    _wait_until(lambda: _gone(child))


def test_restart_runs_the_same_command_again(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        first = supervisor.start(_python("twice", "import time; time.sleep(60)", tmp_path))[0]
        first.kill()
        assert supervisor.ended() == [first]
        second = supervisor.restart("twice")
        assert second.pid != first.pid
        assert supervisor.ended() == []
