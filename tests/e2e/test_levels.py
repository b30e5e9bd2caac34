"""Levels and parts on the whole stack: one site trains and all test; a site only tests; a level falls in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from devstack.demo import people
from devstack.demo.cast import Hospital
from tests.stage import Json, Stage, centres

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@dataclass(frozen=True)
class Site:
    """One hospital of the stage, at its own level."""

    stage: Stage
    hospital: Hospital

    @property
    def name(self) -> str:
        return self.hospital.centre

    def choose(self, level: str) -> None:
        """Its admin takes part at this level from now on."""
        admin = self.stage.prepared.sessions.of(self.hospital.admin)
        admin.post(f"enrolments/{self.stage.prepared.enrolments[self.name]}/level", {"level": level})

    def sign(self) -> None:
        """Its admin signs the script at the node's console, which asks the portal for the level."""
        dataset = self.stage.prepared.datasets[self.name]
        people.approve_script(self.stage.stack, self.hospital, self.stage.prepared.version, dataset)

    def wake(self) -> None:
        """Have its node ask the portal now, as a level that is changed there does."""
        with redis.Redis.from_url(self.stage.stack.services.valkey.url) as valkey:
            valkey.publish(f"fedstudy:wake:{self.stage.prepared.nodes[self.name]}", "news")

    def asked_in(self, run: str) -> set[str]:
        """The phases in which the site has a row in the run."""
        return {row["phase"] for item in self.stage.rounds(run) for row in item["sites"] if row["site"] == self.name}


@pytest.fixture
def site(stage: Stage) -> Iterator[Site]:
    """The second hospital, which is back at F2 and has signed for that when the test is over."""
    found = Site(stage, stage.cast.hospitals[1])
    yield found
    found.choose("F2")
    found.sign()


def answered(round_: Json, phase: str) -> set[str]:
    return centres([row for row in round_["sites"] if (row["phase"], row["state"]) == (phase, "done")])


def test_one_site_trains_and_all_test(stage: Stage) -> None:
    alone, *others = stage.prepared.sites
    run = stage.start_run(rounds=2, label="Alone", validators=[stage.prepared.sites[name] for name in others])
    ended = stage.wait_for_end(run)
    assert (ended["state"], ended["reason"], ended["quorum"]) == ("completed", "", 1)
    assert {item["name"]: item["role"] for item in ended["sites"]} == {
        alone: "trains",
        **dict.fromkeys(others, "tests"),
    }
    preparation, *rounds = stage.rounds(run)
    assert centres(preparation["sites"]) == {alone}
    for item in rounds:
        assert answered(item, "train") == {alone}
        assert answered(item, "evaluate") == {alone, *others}
    results = stage.investigator.get(f"runs/{run}/results")
    assert {row["site"]: row["examples"] is not None for row in results["sites"]} == {
        alone: True, **dict.fromkeys(others, False),
    }  # fmt: skip


def test_a_site_at_f0_tests_and_its_node_refuses_a_forged_order_to_train(stage: Stage, site: Site) -> None:
    site.choose("F0")
    site.sign()
    run = stage.start_run(rounds=2, label="One at F0")
    ended = stage.wait_for_end(run)
    assert (ended["state"], ended["reason"], ended["quorum"]) == ("completed", "", 3)
    assert site.asked_in(run) == {"evaluate"}
    assert all(site.name in answered(item, "evaluate") for item in stage.rounds(run)[1:])

    forge = "UPDATE enrolment_enrolment SET level = %s WHERE id = %s"
    with stage.tampered_database() as database:
        database.execute(forge, ["F2", stage.prepared.enrolments[site.name]])
    site.wake()
    run = stage.start_run(rounds=1, quorum=3, label="Forged")
    assert stage.wait_for_end(run)["state"] == "completed"
    rows = [row for item in stage.rounds(run) for row in item["sites"] if row["site"] == site.name]
    told = {(row["phase"], row["state"], row["code"]) for row in rows}
    assert told == {
        ("sums", "refused", "E_OUTPUT_SCHEMA"), ("train", "refused", "E_OUTPUT_SCHEMA"), ("evaluate", "done", ""),
    }  # fmt: skip
    assert all(row["receipt"] for row in rows), "the node's own word"
    with stage.tampered_database() as database:
        database.execute(forge, ["F0", stage.prepared.enrolments[site.name]])


def test_a_level_that_falls_in_the_middle_of_a_run_holds_at_once(stage: Stage, site: Site) -> None:
    run = stage.start_run(rounds=500, quorum=3, label="Lowered")
    stage.wait_for(run, lambda now: now["committed"] >= 2)
    site.choose("F0")
    lowered_at = stage.run(run)["committed"]
    stage.wait_for(run, lambda now: now["committed"] >= lowered_at + 4)
    stage.investigator.post(f"runs/{run}/stop", {})
    committed = [item for item in stage.rounds(run) if item["state"] == "committed"]
    for item in committed[lowered_at + 3 :]:
        assert site.name not in answered(item, "train")
        assert site.name in answered(item, "evaluate")
        why = {row["code"] for row in item["sites"] if (row["site"], row["phase"]) == (site.name, "train")}
        assert why == {"E_LEVEL"}
    assert site.name in answered(committed[1], "train")
    assert "runs:site:lowered" in [event["action"] for event in stage.events(run)]
    level = {item["name"]: item["level"] for item in stage.run(run)["sites"]}[site.name]
    assert level == "F0"
