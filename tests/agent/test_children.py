"""A script's process: its environment, and that it never outlives whoever started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedstudy_core import bundle as bundles
from fedstudy_core.sandbox.frames import Frame
from fedstudy_core.sandbox.launching import environment
from fedstudy_node.children import Child, Died, Failed
from tests.factories.agent import script
from tests.factories.sandbox import fork_server, sandbox

STARTER = """
import sys, time
from pathlib import Path
from fedstudy_node.children import Child
from tests.factories.sandbox import fork_server, sandbox

folder, level, way = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
server = fork_server() if way == "forked" else None
child = Child.start(sandbox(level).walls, slot=folder / "slot", dataset=None, threads=1, server=server)
print(child.pid, flush=True)
time.sleep(600)
"""
WAYS = ["anew", "forked"]
"""How the process begins."""


@pytest.fixture(params=WAYS)
def child(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Child]:
    slot, log = tmp_path / "slot", tmp_path / "log"
    server = fork_server() if request.param == "forked" else None
    started = Child.start(sandbox().walls, slot=slot, dataset=None, threads=1, server=server)
    started.serve(log, 100_000)
    bundles.unpack(script(), slot / "app" / "script")
    yield started
    started.kill()


def said(child: Child) -> list[object]:
    """Wait for what the process says next."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        child.flush()
        if outcomes := child.receive():
            return list(outcomes)
        time.sleep(0.01)
    raise AssertionError("the process said nothing")


def test_a_process_gets_only_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDSTUDY_HOME", "/secret")
    names = environment(tmp_path, 2)
    assert not [name for name in names if "FEDSTUDY" in name or "TOKEN" in name]
    assert names["OMP_NUM_THREADS"] == "2"
    assert names["HOME"] == str(tmp_path)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("level", ["S0", ""])
def test_a_process_dies_with_its_agent(tmp_path: Path, level: str, way: str) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path), level, way],
        stdout=subprocess.PIPE,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    time.sleep(0.5)
    os.kill(pid, 0)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    until = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < until, "the script's process outlived its agent"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process is there and is not just waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_call_before_an_app_is_loaded_fails_without_ending_the_process(child: Child) -> None:
    child.send(Frame({"kind": "call", "id": 1}, b""))
    [outcome] = said(child)
    assert isinstance(outcome, Failed)
    child.send(Frame({"kind": "nonsense"}))
    [outcome] = said(child)
    assert isinstance(outcome, Failed)
    os.kill(child.pid, 0)


def test_the_end_of_a_process_is_told(child: Child) -> None:
    time.sleep(0.3)
    os.kill(child.pid, signal.SIGKILL)
    [outcome] = said(child)
    assert isinstance(outcome, Died)
    assert "signal 9" in outcome.detail
