"""The command line: signing in, tables and JSON, problems and exit codes."""

from __future__ import annotations

import csv
import io
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from fedstudy_client import credentials
from fedstudy_client.cli import main
from fedstudy_client.comparing import metrics_of
from tests.client.answering import STUDY, URL, Portal, page, results, run


def test_login_keeps_the_token_for_its_owner_alone_and_logout_gives_it_back(
    portal: Portal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    portal.answers["POST auth/token"] = {"token": "secret", "expiry": "2030-01-01T00:00:00Z"}
    portal.answers["DELETE auth/token"] = httpx.Response(204)
    (tmp_path / "password").write_text("correct horse\n")
    command = ["login", URL, "--email", "pat@x.example", "--password-file", str(tmp_path / "password")]
    assert main(command) == 0
    assert portal.came[0][2] == {"email": "pat@x.example", "password": "correct horse"}
    file = credentials.credentials_file()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert main(["whoami", "--json"]) == 0
    assert portal.came[-1][:2] == ("GET me", "Token secret")
    assert json.loads(capsys.readouterr().out.partition("\n")[2])["name"] == "Pat"
    assert main(["logout"]) == 0
    assert portal.came[-1][:2] == ("DELETE auth/token", "Token secret")
    assert not file.exists()


def test_a_token_that_others_may_read_is_not_used(signed_in: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    credentials.credentials_file().chmod(0o640)
    assert main(["whoami"]) == 1
    assert capsys.readouterr().err.startswith("E_CREDENTIALS_FILE Others may read")
    assert signed_in.came == []


def test_the_environment_s_token_goes_first_and_to_its_own_portal_only(
    signed_in: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(credentials.TOKEN, "other")
    assert main(["whoami"]) == 1, "of which portal is it?"
    monkeypatch.setenv(credentials.URL, "https://other.example")
    assert main(["whoami"]) == 0
    assert [token for _, token, _ in signed_in.came] == ["Token other"]
    monkeypatch.delenv(credentials.TOKEN)
    assert main(["whoami"]) == 1, "the kept token is not sent to another portal"
    assert len(signed_in.came) == 1


def test_problems_are_a_code_and_a_sentence_on_standard_error(
    signed_in: Portal, capsys: pytest.CaptureFixture[str]
) -> None:
    signed_in.answers["GET studies"] = httpx.Response(
        403, json={"code": "E_FORBIDDEN", "detail": "You may not.", "errors": [{"field": "a", "detail": "No."}]}
    )
    assert main(["study", "list"]) == 1
    assert capsys.readouterr() == ("", "E_FORBIDDEN You may not.\n  a: No.\n")


@pytest.mark.parametrize(
    "command",
    [["fly"], ["study", "list", "--colour"], ["run", "compare", "one"], ["run", "start", "--set", "x"], ["login"]],
)
def test_a_command_that_is_not_used_well_ends_with_2(signed_in: Portal, command: list[str]) -> None:
    assert main(command) == 2


def test_tables_for_people_and_json_for_programs(signed_in: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    signed_in.answers["GET studies"] = page({**STUDY, "title": "Hearts [bold]\x1b[31m"})
    assert main(["study", "list"]) == 0
    assert "Hearts [bold]\N{REPLACEMENT CHARACTER}[31m" in capsys.readouterr().out
    assert main(["study", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["slug"] == "hearts"


def test_runs_side_by_side(signed_in: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run("a"), run("b", config={"seed": 1, "rate": 0.2}, strategy="fedprox")
    for item, told in ((first, results(auc=0.8, loss=0.5)), (second, results(auc=0.9, loss=0.6))):
        signed_in.answers |= {f"GET runs/{item['id']}": item, f"GET runs/{item['id']}/results": told}
    version = {"id": "v", "script": {"id": "x", "name": "forest"}, "study": {"id": "s", "name": "H"}, "number": 1}
    rest = dict.fromkeys(("size", "state", "files", "parameters", "default_config", "declaration", "findings"))
    signed_in.answers["GET script-versions/v"] = {**version, **rest, "sha256": "0"}
    assert main(["run", "compare", first["id"], second["id"], "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"] == {
        "strategy": {first["id"]: "fedavg", second["id"]: "fedprox"},
        "config.rate": {first["id"]: 0.1, second["id"]: 0.2},
    }
    assert {name: item["best"] for name, item in told["metrics"].items()} == {
        "auc": [second["id"]],
        "loss": [first["id"]],
    }
    assert main(["run", "compare", first["id"], second["id"]]) == 0
    assert "0.9 *" in capsys.readouterr().out


def estimate(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "interval": [low, high]}


def assessment(site: str, auc: float) -> dict[str, Any]:
    rates = {"sensitivity": estimate(0.75, 0.5, 0.9), "specificity": None}
    return {
        "site": site, "site_id": site, "positives": 12, "negatives": 30, "auc": estimate(auc, auc - 0.1, auc + 0.1),
        "at_half": rates, "calibration": {"brier": 0.1625},
    }  # fmt: skip


def test_results_stand_site_by_site_with_their_intervals(signed_in: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    made, told = run("a"), results(auc=0.82, accuracy=0.7)
    site = {"site": "=Demo North", "site_id": "1", "round": 3, "examples": 40, "metrics": {"auc": 0.8, "curve": [1, 2]}}
    groups = {"name": "sex.female", "subgroup": "sex", "value": "female", "sites": 1, "withheld": 1, "rows_band": "50"}
    groups |= {"auc": estimate(0.7, 0.6, 0.8), "sensitivity": None, "specificity": None}
    evaluation = {"round": 3, "together": assessment("", 0.82), "sites": [assessment("1", 0.8)], "subgroups": [groups]}
    told |= {"sites": [site], "evaluation": evaluation}
    signed_in.answers |= {f"GET runs/{made['id']}": made, f"GET runs/{made['id']}/results": told}
    assert main(["run", "results", made["id"]]) == 0
    shown = capsys.readouterr().out
    for words in (
        "=Demo North",
        "All sites",
        "accuracy",
        "0.820 (0.720 to 0.920)",
        "0.750 (0.500 to 0.900)",
        "0.700 (0.6",
    ):
        assert words in shown, words
    assert "curve" not in shown
    assert main(["run", "results", made["id"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["evaluation"] == evaluation
    assert main(["run", "results", made["id"], "--csv"]) == 0
    north, together = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert north["site"] == "'=Demo North"
    assert (north["rows_trained"], north["metric:auc"], north["metric:accuracy"]) == ("40", "0.8", "")
    assert (together["site"], together["rows_trained"], together["metric:accuracy"]) == ("All sites", "", "0.7")
    assert [float(together[name]) for name in ("auc", "auc:low", "auc:high")] == pytest.approx([0.82, 0.72, 0.92])
    assert (together["specificity"], together["brier"]) == ("", "0.1625")
    assert main(["run", "results", made["id"], "--csv", "--json"]) == 2


def test_results_of_a_run_that_has_none_yet(signed_in: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    made = run("a", state="running", committed=0)
    signed_in.answers |= {f"GET runs/{made['id']}": made, f"GET runs/{made['id']}/results": results()}
    assert main(["run", "results", made["id"]]) == 0
    assert "Metrics after the last round: none" in capsys.readouterr().out
    assert main(["run", "results", made["id"], "--csv"]) == 0
    assert capsys.readouterr().out == "site\n"


def test_a_dossier_is_kept_as_a_file_or_a_folder_and_overwrites_nothing(
    signed_in: Portal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, buffer = run("a"), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("run/plan.json", "{}")
    signed_in.answers[f"GET runs/{made['id']}"] = made
    signed_in.answers[f"GET runs/{made['id']}/dossier"] = httpx.Response(200, content=buffer.getvalue())
    file, folder = tmp_path / "a.zip", tmp_path / "new" / "a"
    assert main(["run", "dossier", made["id"], "-o", str(file)]) == 0
    assert file.read_bytes() == buffer.getvalue()
    assert main(["run", "dossier", made["id"], "-o", str(folder)]) == 0
    assert (folder / "run" / "plan.json").read_text() == "{}"
    assert f"fedstudy-verify {folder}" in capsys.readouterr().out
    asked = len(signed_in.came)
    assert main(["run", "dossier", made["id"], "-o", str(folder)]) == 1
    assert "E_FILE" in capsys.readouterr().err
    assert len(signed_in.came) == asked


def test_nothing_is_best_where_all_are_alike_or_nothing_is_to_be_ranked() -> None:
    rows = metrics_of([{"auc": 1, "num-examples": 3}, {"auc": 1.0, "num-examples": 4}])
    assert [row.best for row in rows] == [frozenset(), frozenset()]
    assert metrics_of([{"x": 1}, {}, {"x": 2}], {"x": "lower"})[0].best == {0}


def test_a_run_is_planned_started_and_watched(
    signed_in: Portal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fedstudy_client.following.time.sleep", lambda _: None)
    planned = run("a", state="draft", committed=0)
    version = {"id": "v", "script": {"id": "x", "name": "forest"}, "study": {"id": "s", "name": "H"}, "number": 1}
    rest = dict.fromkeys(("size", "files", "parameters", "default_config", "declaration", "findings"))
    signed_in.answers |= {
        "GET studies/s/scripts": page({"id": "x", "study": {"id": "s", "name": "H"}, "name": "forest"}),
        "GET scripts/x/versions": page({**version, **rest, "state": "submitted", "sha256": "0"}),
        "POST studies/s/runs": planned,
        f"POST runs/{planned['id']}/start": {**planned, "state": "queued"},
        f"GET runs/{planned['id']}": [{**planned, "state": "running", "committed": 1}, run("a")],
        f"GET runs/{planned['id']}/results": results(auc=0.8),
    }
    command = ["run", "start", "--rounds", "3", "--set", "rate=0.1", "--set", "kind=site", "--watch"]
    assert main(command) == 0
    sent = next(body for what, _, body in signed_in.came if what == "POST studies/s/runs")
    assert (sent["version"], sent["rounds"], sent["config"]) == ("v", 3, {"rate": 0.1, "kind": "site"})
    assert "strategy" not in sent
    assert "auc" in capsys.readouterr().out

    signed_in.answers[f"GET runs/{planned['id']}"] = run("a", state="failed", reason_code="E_QUORUM", reason="Too few.")
    assert main(command) == 1
    assert "E_RUN “a” failed: E_QUORUM Too few." in capsys.readouterr().err


def test_a_name_that_is_not_clear_is_asked_back(signed_in: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    signed_in.answers["GET studies"] = page(STUDY, {**STUDY, "id": "t", "slug": "hearts-2"})
    assert main(["study", "show", "Hearts"]) == 1
    assert "E_AMBIGUOUS There is more than one study “Hearts”; say which: hearts, hearts-2." in capsys.readouterr().err
    assert main(["study", "show", "lungs"]) == 1
    assert "E_NOT_FOUND" in capsys.readouterr().err
