"""A run's life on the whole stack: paused, stopped, resumed, forked, ended early, queued, scheduled, joined late.

One of the four nodes is away from the beginning, so that the portal has noticed it when the last tests need that; the
others do with three sites.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from devstack.demo.cast import Hospital
from fedstudy_client.problem import FedStudyProblem
from fedstudy_core.canonical import digest
from tests.stage import Json, Stage, centres

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROUNDS = 10


@dataclass
class Life:
    """The stage with one hospital whose node is switched off."""

    stage: Stage
    absent: str
    on: bool = True

    def start(self, **plan: Any) -> str:
        """Plan and start a run over the sites that are there; returns its id."""
        sites = [site for centre, site in self.stage.prepared.sites.items() if centre != self.absent]
        return self.stage.start_run(**{"sites": sites, "rounds": ROUNDS, **plan})

    def do(self, run: str, verb: str, **body: object) -> Json:
        return dict(self.stage.investigator.post(f"runs/{run}/{verb}", body))

    def models(self, run: str) -> list[str]:
        """The model of each committed round, from the preparation on."""
        return [item["model_out"] for item in self.stage.rounds(run) if item["state"] == "committed"]

    def is_away(self) -> bool:
        """Whether the portal has noticed that the node is off, as its site's admin sees it."""
        admin = self.stage.prepared.sessions.of(self._hospital.admin)
        return not admin.get(f"nodes/{self.stage.prepared.nodes[self.absent]}")["online"]

    def switch_off(self) -> None:
        self.on = False
        self.stage.kill_agent(self._hospital.node)

    def switch_on(self) -> None:
        self.on = True
        self.stage.restart_agent(self._hospital.node)

    @property
    def _hospital(self) -> Hospital:
        return next(item for item in self.stage.cast.hospitals if item.centre == self.absent)


@pytest.fixture(scope="module")
def life(stage: Stage) -> Iterator[Life]:
    life = Life(stage, stage.cast.hospitals[-1].centre)
    life.switch_off()
    yield life
    if not life.on:
        life.switch_on()
    stage.wait_until(lambda: not life.is_away())


@pytest.fixture(scope="module")
def undisturbed(life: Life) -> Json:
    """A run that nothing disturbs, whose best round is chosen by a metric that is not the script's headline."""
    return life.stage.wait_for_end(life.start(label="Undisturbed", metric="loss"))


def test_pauses_and_a_stop_change_nothing_in_the_models(life: Life, undisturbed: Json) -> None:
    run = life.start(label="Disturbed")
    life.stage.wait_for(run, lambda now: now["committed"] >= 1)
    life.do(run, "pause")
    paused = life.stage.wait_for(run, lambda now: now["state"] == "paused")
    assert 1 <= paused["committed"] < ROUNDS
    life.do(run, "resume")
    life.stage.wait_for(run, lambda now: now["state"] == "running")
    assert life.do(run, "pause", at_once=True)["state"] == "paused"
    assert life.do(run, "stop", reason="To be resumed")["reason"] == "To be resumed"
    life.do(run, "resume")
    ended = life.stage.wait_for_end(run)
    assert (ended["state"], ended["reason"]) == ("completed", "")
    assert life.models(run) == life.models(undisturbed["id"])
    actions = [event["action"] for event in life.stage.events(run)]
    assert [actions.count(f"runs:run:{what}") for what in ("paused", "stopped", "completed")] == [2, 1, 1]
    assert actions.count("runs:round:committed") == ROUNDS + 1


def test_the_best_round_by_a_chosen_metric_can_be_fetched(life: Life, undisturbed: Json) -> None:
    run = undisturbed["id"]
    assert (undisturbed["metric"], undisturbed["better"]) == ("loss", "lower")
    losses = {item["number"]: item["metrics"]["evaluate"]["loss"] for item in life.stage.rounds(run)[1:]}
    assert losses[undisturbed["best_round"]] == min(losses.values())
    best = life.stage.investigator.download(f"runs/{run}/model?best=true")
    assert digest(best) == life.models(run)[undisturbed["best_round"]]


def test_from_an_earlier_round_a_fork_goes_on(life: Life, undisturbed: Json) -> None:
    origin = undisturbed["id"]
    fork = life.do(origin, "fork", round=ROUNDS - 2)
    told = (fork["state"], fork["parent"], fork["parent_round"], fork["rounds"])
    assert told == ("draft", origin, ROUNDS - 2, 2)
    life.do(fork["id"], "start")
    ended = life.stage.wait_for_end(fork["id"])
    assert (ended["state"], ended["reason"], ended["committed"]) == ("completed", "", 2)
    adopted, first, _ = life.stage.rounds(fork["id"])
    assert adopted["sites"] == []
    assert adopted["model_out"] == first["model_in"] == life.models(origin)[ROUNDS - 2]
    before = life.stage.rounds(origin)[1]["metrics"]["evaluate"]["loss"]
    assert first["metrics"]["evaluate"]["loss"] < before  # it does not begin from nothing
    assert life.stage.run(origin)["forks"] == [fork["id"]]


def test_a_run_ends_early_on_a_plateau(life: Life) -> None:
    rule = {"metric": "auc", "patience": 2, "min_delta": 0.5}
    run = life.stage.wait_for_end(life.start(rounds=50, label="Ends early", **rule))
    assert (run["state"], run["committed"]) == ("completed", run["ends_after"])
    assert 3 <= run["ends_after"] <= 5
    assert run["reason"].startswith(f"No gain in auc for 2 rounds, so it ended after round {run['ends_after']}.")


def test_runs_queue_and_one_that_is_stopped_before_its_turn_asks_nobody(life: Life) -> None:
    at_work = [life.start(rounds=500, label=f"At work {number}") for number in (1, 2)]
    queued = [life.start(rounds=1, label=f"Queued {number}") for number in (3, 4)]
    third, fourth = (life.stage.run(run) for run in queued)
    assert [(run["place"]["number"], run["place"]["length"]) for run in (third, fourth)] == [(1, 2), (2, 2)]
    waits = {reason["sentence"] for reason in third["place"]["waits_for"]}
    assert "a place in its study (2 runs at a time)" in waits
    aborted = life.do(third["id"], "stop", reason="Not needed")
    assert (aborted["state"], aborted["place"]) == ("stopped", None)
    assert life.stage.run(fourth["id"])["place"]["number"] == 1
    for run in at_work:
        life.do(run, "stop")
    assert life.stage.wait_for_end(fourth["id"])["state"] == "completed"
    assert life.stage.rounds(third["id"]) == []
    assert {life.stage.run(run)["state"] for run in at_work} == {"stopped"}


def test_a_run_that_was_never_started_can_be_given_up(life: Life) -> None:
    plan = {"version": life.stage.prepared.version, "rounds": 1, "label": "Given up"}
    run = life.stage.investigator.post(f"studies/{life.stage.prepared.study}/runs", plan)
    assert life.do(run["id"], "stop")["state"] == "stopped"
    with pytest.raises(FedStudyProblem) as problem:
        life.do(run["id"], "pause")
    assert problem.value.code == "E_STATE"


def test_a_late_node_enters_at_the_next_round_and_a_schedule_waits_for_it(life: Life) -> None:
    stage = life.stage
    stage.wait_until(life.is_away)
    schedule = _scheduled_for_all(life)
    run = stage.start_run(rounds=500, quorum=3, wait_s=0, label="One comes late")
    stage.wait_for(run, lambda now: now["committed"] >= 2)
    was_away = datetime.now(UTC)
    life.switch_on()
    stage.wait_until(lambda: life.absent in _trained(stage.rounds(run)[-1]) | _trained(stage.rounds(run)[-2]))
    life.do(run, "stop")
    taking_part = [_trained(item) for item in stage.rounds(run) if item["state"] == "committed"][1:]
    everybody = set(stage.prepared.sites)
    entered = taking_part.index(everybody)
    assert entered >= 2
    assert taking_part == [everybody - {life.absent}] * entered + [everybody] * (len(taking_part) - entered)
    why = {item["code"] for item in stage.rounds(run)[1]["sites"] if item["site"] == life.absent}
    assert why == {"E_OFFLINE"}

    stage.wait_until(lambda: stage.investigator.get(f"schedules/{schedule['id']}")["state"] == "ended")
    made = stage.wait_for_end(stage.investigator.get(f"schedules/{schedule['id']}")["last_run"])
    assert made["state"] == "completed"
    assert datetime.fromisoformat(made["created_at"]) > was_away
    assert _trained(stage.rounds(made["id"])[1]) == everybody


def _scheduled_for_all(life: Life) -> Json:
    """A schedule that makes a run once all four sites are there; for now they are not."""
    plan = {"version": life.stage.prepared.version, "rounds": 1, "label": "Template"}
    template = life.stage.investigator.post(f"studies/{life.stage.prepared.study}/runs", plan)
    timing = {"kind": "ready", "sites_needed": 4, "label": "When all are there"}
    schedule = life.do(template["id"], "schedules", **timing)
    assert schedule["state"] == "active"
    return schedule


def _trained(round_: Json) -> set[str]:
    return centres([item for item in round_["sites"] if item["phase"] == "train" and item["state"] == "done"])
