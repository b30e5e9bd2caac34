"""A node is lost in the middle of a round: the round closes without it, and it comes back by itself."""

import time

import pytest

from tests.stage import PATIENCE_S, Json, Stage, centres

pytestmark = [pytest.mark.fault, pytest.mark.e2e, pytest.mark.slow]

DEADLINE_S = 8
LOST = "Hungary"


def test_a_killed_node_costs_one_deadline_and_rejoins(stage: Stage) -> None:
    node = next(hospital.node for hospital in stage.cast.hospitals if hospital.centre == LOST)
    run = stage.start_run(rounds=60, quorum=3, deadline_s=DEADLINE_S, label="A node is lost")
    stage.wait_for(run, lambda now: now["committed"] >= 2)
    stage.kill_agent(node)
    killed = time.monotonic()
    lost = _first_round_without(stage, run, after=1)
    assert time.monotonic() - killed < DEADLINE_S + 10
    answers = [answer for answer in lost["sites"] if answer["phase"] == "train"]
    assert {answer["site"]: answer["state"] for answer in answers}[LOST] == "missing"
    assert centres([answer for answer in answers if answer["state"] == "done"]) == _all(stage) - {LOST}

    stage.restart_agent(node)
    back = _first_round_with_everybody(stage, run, after=lost["number"])
    assert back["state"] == "committed"
    stage.investigator.post(f"runs/{run}/stop", {"reason": "The test has seen enough"})
    missed = [event for event in stage.events(run) if event["action"] == "runs:site:missing"]
    assert missed


def _first_round_without(stage: Stage, run: str, after: int) -> Json:
    def closed(item: Json) -> bool:
        states = {answer["state"] for answer in item["sites"] if answer["phase"] == "train"}
        return item["number"] > after and item["state"] == "committed" and "missing" in states

    return _wait_for_round(stage, run, closed)


def _first_round_with_everybody(stage: Stage, run: str, after: int) -> Json:
    def complete(item: Json) -> bool:
        done = [answer for answer in item["sites"] if answer["state"] == "done" and answer["phase"] == "train"]
        return item["number"] > after and item["state"] == "committed" and centres(done) == _all(stage)

    return _wait_for_round(stage, run, complete)


def _wait_for_round(stage: Stage, run: str, condition: object) -> Json:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for item in stage.rounds(run):
            if condition(item):  # type: ignore[operator]
                return item
        assert stage.run(run)["state"] in ("waiting", "running"), stage.run(run)
        time.sleep(0.2)
    raise AssertionError(f"no such round: {stage.rounds(run)[-3:]}")


def _all(stage: Stage) -> set[str]:
    return {hospital.centre for hospital in stage.cast.hospitals}
