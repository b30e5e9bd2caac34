"""The fork server: what a forked process has of its server's, and how it ends."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fedstudy_core.sandbox import forkserver
from fedstudy_core.sandbox.forking import Forked, ForkError, ForkServer, Wanted
from fedstudy_core.sandbox.launching import Walled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fork server is Linux's")

MODULE = "tests.core.forked"
LONG_S = 20


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    made = ForkServer({"SECRET_OF_THE_SERVER": "1", "PYTHONPATH": str(Path(__file__).parents[2])})
    made.load([MODULE, "numpy.random", "no_such_module"])
    assert made.is_ready(LONG_S)
    yield made
    made.close()


def start(server: ForkServer, *words: str, folder: Path = Path("/"), **environment: str) -> Forked:
    process = server.fork(Wanted(MODULE, words, environment, folder))
    process.begin()
    return process


def told(process: Forked) -> str:
    """What a process printed until its end."""
    said = process.stdout.readall().decode()
    process.wait(LONG_S)
    errors = process.stderr.read()
    assert process.returncode == 0, errors
    process.abandon()
    return said.strip()


def test_a_process_starts_with_its_own_environment_folder_and_words(server: ForkServer, tmp_path: Path) -> None:
    said = told(start(server, "surroundings", folder=tmp_path, OWN="2"))
    assert said.splitlines() == ["{'OWN': '2'}", str(tmp_path), "surroundings", "0 1 2"]


def test_no_two_processes_draw_the_same_random_numbers(server: ForkServer) -> None:
    drawn = [told(start(server, "random")).split() for _ in range(2)]
    assert len(drawn[0]) == 2
    assert not set(drawn[0]) & set(drawn[1])


def test_what_is_imported_is_not_asked_for_again(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(server, "_tell", asked.append)
    server.load([MODULE, "numpy.random"])
    assert not asked


@pytest.mark.parametrize(
    ("words", "status"), [(("return",), 0), (("exit", "7"), 7), (("exit", "a text"), 1), (("raise",), 1)]
)
def test_the_exit_status_is_told(server: ForkServer, words: tuple[str, ...], status: int) -> None:
    process = start(server, *words)
    assert process.wait(LONG_S) == process.poll() == status
    errors = process.stderr.read().decode()
    assert ("a text" in errors, "ValueError: raised" in errors) == (words[-1] == "a text", words[-1] == "raise")
    process.abandon()


def test_a_signal_that_ended_it_is_told(server: ForkServer) -> None:
    process = start(server, "wait")
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(LONG_S) == -signal.SIGTERM
    process.abandon()


@pytest.mark.parametrize("leader", ["lives", "has ended"])
def test_what_a_process_started_ends_with_it(server: ForkServer, leader: str) -> None:
    process = start(server, "start another", "and leave" if leader == "has ended" else "and wait")
    started = psutil.Process(int(process.stdout.readline()))
    Walled(process, None).kill()
    psutil.wait_procs([started], timeout=LONG_S)
    assert not started.is_running()
    process.stderr.close()


def test_a_process_ends_with_its_server() -> None:
    with_it = ForkServer({"PYTHONPATH": str(Path(__file__).parents[2])})
    process = start(with_it, "wait")
    waiting = psutil.Process(process.pid)
    with_it.close()
    assert process.wait(LONG_S) < 0
    process.abandon()
    psutil.wait_procs([waiting], timeout=LONG_S)
    assert not waiting.is_running()
    with pytest.raises(ForkError, match="has ended"):
        start(with_it, "wait")


@pytest.mark.parametrize("lives", [True, False])
def test_a_process_whose_keeper_died_before_it_could_ask_for_that_ends_by_itself(*, lives: bool) -> None:
    keeper_lives, held = os.pipe()
    if not lives:
        os.close(held)
    pid = os.fork()
    if pid == 0:
        try:
            forkserver.die_with_keeper(keeper_lives)
        except SystemExit:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == (0 if lives else 7)


def test_a_process_that_nobody_lets_begin_is_never_there(server: ForkServer) -> None:
    waiting = server.fork(Wanted(MODULE, ("wait",), {}, Path("/")))
    keeper = psutil.Process(waiting.keeper)
    assert keeper.children() == []
    waiting.abandon()
    psutil.wait_procs([keeper], timeout=LONG_S)
    assert not keeper.is_running()


def test_namespaces_that_cannot_be_joined_are_an_error(server: ForkServer) -> None:
    process = server.fork(Wanted(MODULE, ("wait",), {}, Path("/"), beside=os.getpid()))
    with pytest.raises(ForkError, match="cannot be joined"):
        process.begin()
    process.abandon()


def test_keepers_do_not_gather(server: ForkServer) -> None:
    for _ in range(3):
        told(start(server, "surroundings"))
    until = time.monotonic() + LONG_S
    while psutil.Process(server.pid).children():
        assert time.monotonic() < until
        time.sleep(0.01)
