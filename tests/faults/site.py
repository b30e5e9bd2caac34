"""Faults of a site: its node dies, is away, slow, full, or lives in another time."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psutil

from devstack.stack import ROOT
from tests.faults.catalogue import fault
from tests.faults.theatre import Missed, Theatre, until

SHORT_DEADLINE_S = 10
MB = 1024**2


@fault(
    "R1", "node killed in a round", expected="the round closes within its deadline + 10 s with the others", short=True
)
def node_killed(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(500, quorum=3, deadline_s=SHORT_DEADLINE_S)
    theatre.reach(run, 2)
    closed, back = [], []
    for moment in ("at work",) if short else ("at work", "between", "at work", "between"):
        if moment == "at work":
            _freeze(theatre)
            until(20, "the node is awaited", lambda: theatre.answers(run)[-1]["state"] == "awaited")
        number = theatre.last_round(run)
        theatre.kill(theatre.agent)
        closed.append(theatre.next_commit(run, within=SHORT_DEADLINE_S + 10))
        theatre.reach(run, number + 1)
        begun = time.monotonic()
        theatre.start(theatre.agent)
        number = theatre.last_round(run)
        until(30, "the node takes part again", lambda number=number: theatre.takes_part_after(run, number))
        back.append(time.monotonic() - begun)
    theatre.stop(run)
    if max(back) > 10:
        raise Missed(f"back after {max(back):.1f} s")
    return (
        f"closed after {max(closed):.1f} s at most; the node, started again, answered after {max(back):.1f} s at most"
    )


@fault(
    "R1-restart",
    "node killed at work and started again",
    expected="its message is sent again, worked on once",
    short=True,
)
def node_restarted(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(12)
    took = []
    for turn in range(1 if short else 3):
        theatre.reach(run, 2 + 3 * turn)
        _freeze(theatre)
        until(20, "the node is awaited", lambda: theatre.answers(run)[-1]["state"] == "awaited")
        theatre.kill(theatre.agent)
        begun = time.monotonic()
        theatre.start(theatre.agent)
        theatre.next_commit(run, within=30)
        took.append(time.monotonic() - begun)
    theatre.finish(run)
    if not short and max(took) > 15:
        raise Missed(f"the round was committed {max(took):.1f} s after the kill")
    return f"the round was committed by all four {max(took):.1f} s after the kill at most"


def _freeze(theatre: Theatre) -> list[psutil.Process]:
    """Stop the victim's scripts in their tracks; those of an earlier run may end meanwhile."""
    until(20, "the script runs", theatre.victims_scripts)
    frozen = []
    for process in theatre.victims_scripts():
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)
            frozen.append(process)
    return frozen


def _let_go_on(frozen: list[psutil.Process]) -> None:
    """Let stopped scripts run again, of which the agent may have ended some."""
    for process in frozen:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


@fault("R2", "node away at the start", expected="the run says for whom it waits, and starts within 30 s of its return")
def node_away_at_start(theatre: Theatre, short: bool) -> str:
    theatre.kill(theatre.agent)
    node = theatre.stage.prepared.nodes[theatre.victim.centre]
    session = theatre.stage.prepared.sessions.of(theatre.victim.admin)
    until(60, "the portal sees that the node is away", lambda: not session.get(f"nodes/{node}")["online"])
    run = theatre.begin(3, wait_s=120)
    investigator = theatre.stage.investigator
    told = until(
        60,
        "the run names its absent site",
        lambda: theatre.victim.centre in {item["site"] for item in investigator.get(f"runs/{run}/results")["awaited"]},
    )
    if theatre.run(run)["state"] != "waiting":
        raise Missed("the run did not wait")
    theatre.start(theatre.agent)
    began = until(30, "the run has begun", lambda: theatre.run(run)["state"] == "running")
    theatre.finish(run)
    return f"named after {told:.1f} s; began {began:.1f} s after the node was started"


@fault(
    "R3", "script stopped in its tracks", expected="the site is dropped at the deadline and welcome again", short=True
)
def script_slow(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(500, quorum=3, deadline_s=SHORT_DEADLINE_S)
    theatre.reach(run, 2)
    frozen = _freeze(theatre)
    took = until(
        SHORT_DEADLINE_S * 1.5, "the site is dropped", lambda: "E_DEADLINE" in {a["code"] for a in theatre.answers(run)}
    )
    _let_go_on(frozen)
    number = theatre.last_round(run)
    back = until(30, "the site is welcome again", lambda: theatre.takes_part_after(run, number))
    longest = max(row["duration_ms"] or 0 for row in theatre.stage.rounds(run) if row["number"]) / 1000
    theatre.stop(run)
    if longest > SHORT_DEADLINE_S * 1.1:
        raise Missed(f"a round took {longest:.1f} s")
    return f"dropped after {took:.1f} s, the longest round {longest:.1f} s; it answered {back:.1f} s after it went on"


@fault(
    "R-apart", "another run's script hangs at a site", expected="the site's other runs do not wait for it", short=True
)
def scripts_apart(theatre: Theatre, short: bool) -> str:
    hanging = theatre.begin(500, deadline_s=300)
    theatre.reach(hanging, 2)
    frozen = _freeze(theatre)
    until(20, "the run waits", lambda: theatre.answers(hanging)[-1]["state"] == "awaited")
    begun = time.monotonic()
    other = theatre.begin(5)
    theatre.finish(other, within=60)
    took = time.monotonic() - begun
    _let_go_on(frozen)
    theatre.next_commit(hanging, within=30)
    theatre.stop(hanging)
    return f"a run of 5 rounds was completed in {took:.1f} s meanwhile"


@fault("R9", "disk full at a node", expected="E_DISK_FULL; ledger whole; back within 60 s of there being room")
def disk_full(theatre: Theatre, short: bool) -> str:
    with _small_disk(theatre):
        run = theatre.begin(500, quorum=3, deadline_s=SHORT_DEADLINE_S)
        theatre.reach(run, 2)
        filler = theatre.home / "filler"
        left = shutil.disk_usage(theatre.home).free
        with filler.open("wb") as file:
            file.write(b"\0" * max(left - 8 * MB, 0))
        told = until(30, "the node says that it is full", lambda: _code(theatre, run) == "E_DISK_FULL")
        checked = theatre.stage.stack.node(theatre.victim.node).command("log", "--verify", "--limit", "10")
        filler.unlink()
        number = theatre.last_round(run)
        back = until(60, "the node takes part again", lambda: theatre.takes_part_after(run, number))
        theatre.stop(run)
        if not checked:
            raise Missed("the ledger cannot be read")
    return f"said so after {told:.1f} s; took part {back:.1f} s after there was room; its log verifies"


def _code(theatre: Theatre, run: str) -> str:
    settled = [answer for answer in theatre.answers(run) if answer["state"] != "awaited"]
    return str(settled[-1]["code"]) if settled else ""


@contextmanager
def _small_disk(theatre: Theatre) -> Iterator[None]:
    """The victim's home on a file system of 160 MB. Raises Missed where that may not be mounted."""
    home, aside = theatre.home, theatre.home.with_name(f"{theatre.home.name}.aside")
    theatre.child(theatre.agent).stop()
    home.rename(aside)
    home.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160m,mode=700", "fedstudy-small", str(home)], check=False
    )
    try:
        shutil.copytree(aside, home, dirs_exist_ok=True, symlinks=True)
        theatre.start(theatre.agent)
        until(60, "the node is connected", theatre.is_connected)
        if mounted.returncode:
            raise Missed("this account may not mount a small file system")
        yield
    finally:
        theatre.child(theatre.agent).stop()
        if not mounted.returncode:
            subprocess.run(["umount", "--lazy", str(home)], check=True)
        shutil.rmtree(home)
        aside.rename(home)
        theatre.restart_agent()


@fault("R12", "clock of a node wrong", expected="5 minutes are borne; an hour is refused with a sentence that says so")
def clock_wrong(theatre: Theatre, short: bool) -> str:
    seen = []
    proper = theatre.child(theatre.agent).command
    try:
        for offset in (240, -240, 3600, -3600):
            words = [sys.executable, "-m", "tests.faults.skewed", str(offset), "run"]
            theatre.restart_agent_as(replace(proper, argv=words, cwd=ROOT))
            if abs(offset) < 300:
                until(30, f"a node {offset} s off is connected", theatre.is_connected)
                theatre.finish(theatre.begin(2))
                seen.append(f"{offset:+d} s took part")
            else:
                until(30, "the agent says what is wrong", lambda: "clock" in str(theatre.status()).lower())
                seen.append(f"{offset:+d} s refused")
    finally:
        theatre.restart_agent_as(proper)
    until(60, "the node is connected", theatre.is_connected)
    return ", ".join(seen)
