"""The demo's whole study from its file, by one command, while the hospitals do their part."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.demo import people
from devstack.demo.cast import Hospital
from devstack.stack import ROOT
from tests.stage import Json, Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
EXAMPLE = ROOT / "platform" / "client" / "examples" / "heart-disease" / "study.yaml"
TITLE = "Heart disease across four hospitals, by file"
ROUNDS = 2


def write_study(folder: Path) -> Path:
    """The example's file with another title, for the stage has a study of this one, and with fewer rounds."""
    described = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    described["study"]["title"] = TITLE
    described["study"]["protocol"] = str(EXAMPLE.parent / described["study"]["protocol"])
    described["dictionary"] = str(EXAMPLE.parent / described["dictionary"])
    for run in described["runs"]:
        run["rounds"] = ROUNDS
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(described, sort_keys=False), "utf-8")
    return file


def fedstudy(stage: Stage, *arguments: str) -> Any:
    """What a command of the PI's prints as JSON."""
    signed_in = {"FEDSTUDY_URL": stage.stack.portal_url, "FEDSTUDY_TOKEN": stage.investigator.token}
    command = [sys.executable, "-c", "import sys; from fedstudy_client.cli import main; sys.exit(main())"]
    ended = subprocess.run(
        [*command, *arguments, "--json"], env=os.environ | signed_in, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def take_part(stage: Stage, hospital: Hospital) -> None:
    """What a hospital's people do: accept, offer their rows, review and sign, each as soon as they are asked."""
    admin = stage.prepared.sessions.of(hospital.admin)
    found: dict[str, str] = {}

    def invited() -> bool:
        for item in admin.each("enrolments"):
            if (item["study"]["name"], item["site"]["name"]) == (TITLE, hospital.centre):
                found.update(enrolment=item["id"], study=item["study"]["id"])
        return "enrolment" in found

    def submitted() -> bool:
        for script in admin.each(f"studies/{found['study']}/scripts"):
            for version in admin.each(f"scripts/{script['id']}/versions"):
                found["version"] = version["id"]
        return "version" in found

    stage.wait_until(invited)
    admin.post(f"enrolments/{found['enrolment']}/accept")
    rows = stage.stack.folders.state / "hospitals" / f"{hospital.centre.lower().replace(' ', '_')}.csv"
    dataset = people.offer_dataset(stage.stack, hospital, found["study"], rows)
    stage.wait_until(submitted)
    people.approve_script(stage.stack, hospital, found["version"], dataset)


def pooled(stage: Stage, run: str) -> Json:
    """A run's metrics of all sites together after its last round."""
    return dict(stage.investigator.get(f"runs/{run}/results")["pooled"])


def test_one_command_gives_the_same_results_as_calls_of_the_api(stage: Stage, tmp_path: Path) -> None:
    file = write_study(tmp_path)
    with ThreadPoolExecutor(max_workers=len(stage.cast.hospitals)) as pool:
        hospitals = [pool.submit(take_part, stage, hospital) for hospital in stage.cast.hospitals]
        applied = fedstudy(stage, "apply", str(file), "--wait", "400")
        for hospital in hospitals:
            hospital.result()
    made = {run["label"]: run for run in applied["runs"]}
    assert len(made) == 2 + len(stage.cast.hospitals)
    assert {(run["state"], run["rounds"]) for run in made.values()} == {("completed", ROUNDS)}

    by_calls = {
        "Federated averaging": stage.start_run(rounds=ROUNDS, label="By calls"),
        "Federated averaging, each site normalised by itself": stage.start_run(
            rounds=ROUNDS, label="By calls, each site", config={"normalise": "site"}
        ),
        "Cleveland alone": stage.start_run(
            rounds=ROUNDS, label="By calls, alone", sites=[stage.prepared.enrolments["Cleveland"]], quorum=1
        ),
    }
    for label, run in by_calls.items():
        assert stage.wait_for_end(run)["state"] == "completed"
        expected = pooled(stage, run)
        assert made[label]["metrics"].keys() == expected.keys()
        for name, value in expected.items():
            assert made[label]["metrics"][name] == pytest.approx(value, abs=1e-6), (label, name)

    again = fedstudy(stage, "apply", str(file), "--wait", "0")
    assert again["done"] == []
    assert again["runs"] == applied["runs"]
    assert {step["action"] for step in fedstudy(stage, "plan", str(file))["steps"]} == {"nothing"}
