"""The site's hand on its node in a live run: pause, veto, new keys; a node that is revoked, one that runs twice.

After all other tests of the stage, because nodes are lost for good here. The times are logged.
"""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devstack.demo.cast import Hospital
from federation.runs.flower import SuperLink
from tests.stage import Json, Stage

pytestmark = [pytest.mark.fault, pytest.mark.e2e, pytest.mark.slow, pytest.mark.last]

log = logging.getLogger(__name__)
ROUNDS = 500
PATIENCE_S = 90.0


@pytest.fixture(scope="module")
def run(stage: Stage) -> Iterator[str]:
    """A long run over the four hospitals that one of them can carry on."""
    run = stage.start_run(rounds=ROUNDS, quorum=1, deadline_s=30, label="Sites have the last word")
    stage.wait_for(run, lambda now: now["committed"] >= 2)
    yield run
    stage.investigator.post(f"runs/{run}/stop", {"reason": "The test has seen enough"})


def within(seconds: float, what: str, condition: Callable[[], object]) -> float:
    """Wait until it is so; returns after how many seconds it was."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE_S, what
        time.sleep(0.1)
    took = time.monotonic() - begun
    log.warning("%s after %.1f s", what, took)
    assert took < seconds, f"{what} took {took:.1f} s"
    return took


def hospital(stage: Stage, number: int) -> Hospital:
    return stage.cast.hospitals[number]


def last_answer(stage: Stage, run: str, site: str) -> Json:
    """The site's newest settled answer."""
    answers = [item for round_ in stage.rounds(run)[-3:] for item in round_["sites"] if item["site"] == site]
    return [item for item in answers if item["state"] != "awaited"][-1]


def node_of(stage: Stage, at: Hospital) -> Json:
    """The node as its site's admin sees it."""
    session = stage.prepared.sessions.of(at.admin)
    return dict(session.get(f"nodes/{stage.prepared.nodes[at.centre]}"))


def status_of(stage: Stage, at: Hospital) -> Json:
    """What the agent says of itself, whatever the exit status."""
    return dict(json.loads((stage.stack.node(at.node).home / "status.json").read_text()))


def test_a_pause_and_a_veto_are_heeded_and_shown(stage: Stage, run: str) -> None:
    at = hospital(stage, 0)
    node = stage.stack.node(at.node)
    node.command("pause", "--reason", "audit of the ward")
    within(15, "the pause shows in the run", lambda: last_answer(stage, run, at.centre)["code"] == "E_PAUSED")
    within(15, "the portal shows the pause", lambda: node_of(stage, at)["paused"])
    assert node_of(stage, at)["paused"]["reason"] == "audit of the ward"
    committed = stage.run(run)["committed"]
    stage.wait_for(run, lambda now: now["committed"] > committed)

    node.command("resume")
    within(30, "the node takes part again", lambda: last_answer(stage, run, at.centre)["state"] == "done")

    node.command("veto", run[:8], "--reason", "not what we agreed on")
    within(15, "the veto shows in the run", lambda: last_answer(stage, run, at.centre)["code"] == "E_VETO")
    told = node.command("log", "--verify", "--limit", "100000")
    assert {"paused", "resumed", "vetoed", "answered"} <= {entry["kind"] for entry in told["entries"]}


def test_a_node_replaces_its_keys_in_the_middle_of_a_run(stage: Stage, run: str) -> None:
    at = hospital(stage, 1)
    node = stage.stack.node(at.node)
    before = node_of(stage, at)
    told = node.command("rotate")
    assert told["words"] == node_of(stage, at)["words"] != before["words"]
    number = stage.rounds(run)[-1]["number"]

    def answers_again() -> bool:
        answer = last_answer(stage, run, at.centre)
        return answer["state"] == "done" and stage.rounds(run)[-1]["number"] > number + 1

    within(60, "the node answers under its new keys", answers_again)
    known = keys_at_superlink(stage)
    assert len(known) == len(stage.cast.hospitals), "the old key is struck"


def keys_at_superlink(stage: Stage) -> dict[str, str]:
    link = stage.stack.superlink
    with SuperLink(link.address, link.certificates.authority, link.secret_file).control() as control:
        return control.nodes()


def test_a_revoked_node_stops_and_the_run_goes_on(stage: Stage, run: str) -> None:
    at = hospital(stage, 2)
    known = len(keys_at_superlink(stage))
    session = stage.prepared.sessions.of(at.admin)
    session.post(f"nodes/{stage.prepared.nodes[at.centre]}/revoke", {"reason": "lost"})
    within(60, "the SuperLink forgets the node", lambda: len(keys_at_superlink(stage)) == known - 1)
    within(60, "the agent says that it was revoked", lambda: "revoked" in str(status_of(stage, at).get("excluded")))
    within(60, "its scripts are ended", lambda: not status_of(stage, at)["runs"] or not stage.scripts(at.node))
    log_text = stage.stack.node(at.node).home.joinpath("agent.log").read_text()
    assert "node_excluded" in log_text
    committed = stage.run(run)["committed"]
    stage.wait_for(run, lambda now: now["committed"] > committed + 1)
    assert last_answer(stage, run, at.centre)["code"] in ("E_NODE_UNAVAILABLE", "E_NOT_READY", "E_NOT_APPROVED")


def test_a_copied_node_is_found_and_frozen(stage: Stage, run: str) -> None:
    at = hospital(stage, 3)
    node = stage.stack.node(at.node)
    copy = replace(node, name=f"{node.name}-copy", home=node.home.with_name(f"{node.home.name}-copy"))
    shutil.copytree(node.home, copy.home)
    child = stage.stack.supervisor.launch(copy.run_command())
    try:
        within(60, "the copy is found out", lambda: node_of(stage, at)["state"] == "frozen")
        for home in (node.home, copy.home):
            within(30, "the agent says that it is frozen", lambda home=home: _is_frozen(home))
    finally:
        child.kill()
    token = stage.prepared.sessions.of(at.admin).post(f"nodes/{stage.prepared.nodes[at.centre]}/token")["token"]
    node.command("rotate", "--token", token)
    assert node_of(stage, at)["state"] == "active"
    within(30, "the true node works again", lambda: node_of(stage, at)["online"])


def _is_frozen(home: Path) -> bool:
    return "frozen" in (home / "status.json").read_text()
