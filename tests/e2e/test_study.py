"""A study from sign-up to results, as its people see it."""

import json
from pathlib import Path

import httpx
import numpy as np
import pytest

from devstack.demo import dossiers
from devstack.demo.figures import of_last_round
from fedstudy_core.artifacts import ArtifactStore, decode_arrays
from fedstudy_verify.dossier import verify_dossier
from tests.stage import Json, Stage, centres

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


BOOTSTRAP = {"bootstrap": 200}


@pytest.fixture(scope="module")
def completed(stage: Stage) -> Json:
    """A run of five rounds over the four hospitals, with bootstrap replicates of its last test."""
    return stage.wait_for_end(stage.start_run(rounds=5, label="Five rounds", config=BOOTSTRAP))


@pytest.fixture(scope="module")
def again(stage: Stage, completed: Json) -> Json:
    """The first two rounds of it once more."""
    return stage.wait_for_end(stage.start_run(rounds=2, label="The same again", config=BOOTSTRAP))


def test_the_run_completes_with_every_hospital_in_every_round(stage: Stage, completed: Json) -> None:
    assert (completed["state"], completed["reason"]) == ("completed", "")
    rounds = stage.rounds(completed["id"])
    assert [item["number"] for item in rounds] == [0, 1, 2, 3, 4, 5]
    names = {hospital.centre for hospital in stage.cast.hospitals}
    for item in rounds[1:]:
        assert item["state"] == "committed"
        assert all(answer["state"] == "done" and answer["receipt"] for answer in item["sites"])
        for phase in ("train", "evaluate"):
            assert centres([answer for answer in item["sites"] if answer["phase"] == phase]) == names
    hashes = [item["model_out"] for item in rounds]
    assert len(set(hashes)) == len(hashes)


def test_sites_train_on_the_rows_that_the_preparation_keeps(stage: Stage, completed: Json) -> None:
    figures = of_last_round(stage.rounds(completed["id"])[-1])
    rows = {name: (site.train_rows, site.test_rows) for name, site in figures.sites.items()}
    expected = {"Cleveland": (199, 104), "Hungary": (172, 89), "Switzerland": (30, 16), "VA Long Beach": (85, 45)}
    assert rows == expected
    assert figures.auc is not None
    assert figures.auc > 0.83


def test_results_agree_with_the_rounds(stage: Stage, completed: Json) -> None:
    results = stage.investigator.get(f"runs/{completed['id']}/results")
    figures = of_last_round(stage.rounds(completed["id"])[-1])
    assert (results["committed"], results["total"], results["awaited"]) == (5, 5, [])
    assert results["curve"]["auc"] == pytest.approx(figures.auc)
    assert {site["site"]: site["metrics"]["accuracy"] for site in results["sites"]} == {
        name: pytest.approx(site.accuracy) for name, site in figures.sites.items()
    }


def test_subgroups_are_told_where_they_are_large_enough(stage: Stage, completed: Json) -> None:
    found = stage.investigator.get(f"runs/{completed['id']}/results")["evaluation"]["subgroups"]
    told = {item["name"]: (item["sites"], item["withheld"], item["rows_band"]) for item in found}
    # by sex only Cleveland has enough women; by age Cleveland and Hungary have enough rows of both kinds
    assert told["sex.female"] == (1, 3, "10-49")
    assert told["sex.male"] == (1, 3, "50-99")
    assert told["age.under-55"] == (2, 2, "100-499")
    assert told["age.from-55"] == (2, 2, "50-99")
    assert all(0.5 < item["auc"]["value"] < 1 and item["auc"]["interval"] for item in found)
    last = stage.rounds(completed["id"])[-1]["sites"]
    swiss = next(row for row in last if (row["site"], row["phase"]) == ("Switzerland", "evaluate"))
    assert "score-positives" in swiss["metrics"] and not any("." in name for name in swiss["metrics"])


def of_last_tests(stage: Stage, run: Json) -> dict[str, Json]:
    last = stage.rounds(run["id"])[-1]["sites"]
    return {answer["site"]: answer["metrics"] for answer in last if answer["phase"] == "evaluate"}


def test_runs_are_compared_on_rows_that_were_drawn_alike(stage: Stage, completed: Json, again: Json) -> None:
    one, other = of_last_tests(stage, completed), of_last_tests(stage, again)
    assert {name: item["replicates-of"] for name, item in one.items()} == {
        name: item["replicates-of"] for name, item in other.items()
    }
    assert len({item["replicates-of"] for item in one.values()}) == len(one), "each site has draws of its own"
    assert {name for name, item in one.items() if "auc-replicates" not in item} == {"Switzerland"}
    first, second = (np.array(item["Cleveland"]["accuracy-replicates"]) for item in (one, other))
    assert len(first) == 200
    assert np.corrcoef(first, second)[0, 1] > 0.5, "the same rows are drawn in both"
    before = [answer["metrics"] for item in stage.rounds(completed["id"])[:-1] for answer in item["sites"]]
    assert not any("replicates" in name for metrics in before for name in metrics)
    shown = stage.investigator.get(f"runs/{completed['id']}/results")
    assert not any("replicates" in name for site in shown["sites"] for name in (*site["metrics"], *shown["pooled"]))


def test_a_repeated_run_gives_the_same_models(stage: Stage, completed: Json, again: Json) -> None:
    first, second = stage.rounds(completed["id"]), stage.rounds(again["id"])
    assert [item["model_out"] for item in second] == [item["model_out"] for item in first[:3]]


def test_arrays_in_16_bits_end_near_those_that_travel_as_they_are(stage: Stage, completed: Json) -> None:
    run = stage.wait_for_end(stage.start_run(rounds=2, transport="float16", label="In 16 bits"))
    assert (run["state"], run["reason"], run["transport"]) == ("completed", "", "float16")
    store = ArtifactStore(stage.stack.folders.data / "models")
    last = stage.rounds(run["id"])[-1]
    narrowed = decode_arrays(store.get(last["model_out"]))
    expected = decode_arrays(store.get(stage.rounds(completed["id"])[2]["model_out"]))
    for name, array in narrowed.items():
        assert array.dtype == expected[name].dtype
        assert not np.array_equal(array, expected[name])
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=2e-3)
    trained = [answer["rounding"] for answer in last["sites"] if answer["phase"] == "train"]
    assert len(trained) == len(stage.cast.hospitals)
    for told in trained:
        assert 0 < float(told["sent"]["absolute"]) < 1e-3
        assert 0 < float(told["received"]["relative"]) <= 4.89e-4


def test_every_role_reads_the_run_page(stage: Stage, completed: Json) -> None:
    people = [stage.cast.investigator, stage.cast.auditor, stage.cast.hospitals[0].admin]
    for person in people:
        with stage.browser(person) as browser:
            page = browser.get(f"/runs/{completed['id']}")
            assert page.status_code == 200, person.role
            assert all(hospital.centre in page.text for hospital in stage.cast.hospitals), person.role


def test_strangers_are_sent_to_sign_in(stage: Stage, completed: Json) -> None:
    answer = httpx.get(f"{stage.stack.portal_url}/runs/{completed['id']}", trust_env=False)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/sign-in")


def test_audit_events_tell_the_run(stage: Stage, completed: Json) -> None:
    told = [event["action"] for event in reversed(stage.events(completed["id"]))]
    actions = [action for action in told if action != "runs:results:viewed"]
    assert actions[:4] == [f"runs:run:{name}" for name in ("created", "queued", "admitted", "began")]
    assert actions.count("runs:round:committed") == 6
    assert actions[-1] == "runs:run:completed"


def test_a_dossier_holds_without_the_portal(stage: Stage, completed: Json, tmp_path: Path) -> None:
    said: list[str] = []
    dossiers.leave(stage.prepared.sessions.of(stage.cast.auditor), completed["id"], tmp_path, said.append)
    assert "holds" in said[0]
    rounds = json.loads((tmp_path / "run/rounds.json").read_bytes())
    assert [item["model_out"] for item in rounds] == [item["model_out"] for item in stage.rounds(completed["id"])]
    # a site may have signed this version more than once: the dossier has each, and says on which the run stands
    approvals = json.loads((tmp_path / "approvals/approvals.json").read_bytes())
    used = sorted((item["site"], item["meaning"]) for item in approvals if item["used"])
    assert used == sorted((hospital.centre, "approved") for hospital in stage.cast.hospitals)
    (tmp_path / "run/rounds.json").write_text("[]\n")
    assert verify_dossier(tmp_path).problems == ["run/rounds.json was altered."]
