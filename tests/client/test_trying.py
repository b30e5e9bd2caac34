"""Scripts tried on the investigator's machine: from the template, and with the mistakes that people make."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from devstack.stack import ROOT
from fedstudy_client import FedStudyProblem
from fedstudy_client.cli import main
from fedstudy_client.rehearsal.bundles import build
from fedstudy_client.rehearsal.sites import ScriptFailed
from fedstudy_client.rehearsal.trying import Setting, dry_run
from fedstudy_client.study_code.reading import read_dictionary
from fedstudy_client.templating import new_script
from fedstudy_core.analysis import analyse
from fedstudy_core.archives import read_archive

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")]
SMALL = Setting(sites=2, rows=40, rounds=1)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    new_script("my-script", tmp_path / "my-script")
    return tmp_path / "my-script"


def test_the_template_works_as_it_is_and_gives_reviewers_nothing_to_ask(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["script", "check", str(script), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["findings"], told["dropped"]) == ("my-script", [], [])
    command = ["script", "dry-run", str(script), "--dictionary", str(script / "dictionary.json"), "--rounds", "2"]
    assert main([*command, "--set", "local-steps=3", "--json"]) == 0
    rounds = json.loads(capsys.readouterr().out)["rounds"]
    assert [set(item) for item in rounds] == [{"train", "evaluate"}] * 2
    assert rounds[1]["evaluate"]["loss"] < 0.75


def test_findings_are_those_of_the_portal(script: Path) -> None:
    (script / "my_script" / "task.py").write_text('"""Runs a program."""\n\nimport os\n\nos.system("true")\n')
    built = build(script)
    assert built.findings == analyse(read_archive(built.content))
    assert "high" in {finding.risk for finding in built.findings}


@pytest.mark.parametrize(
    ("before", "after", "code", "words"),
    [
        ('context.run_config["local-steps"]', 'context.run_config["local-step"]', "E_SCRIPT", "KeyError: 'local-step'"),
        ('ArrayRecord({"weights"', 'ArrayRecord({"weight"', "E_UPDATE_NAMES", "keep the answer to query.initial_model"),
        ('{"num-examples": len(rows.outcome)}', '{"rows": 1}', "E_UPDATE_WEIGHT", "keep the answer to train back"),
        ("from . import task", "from . import tasks", "E_SCRIPT", "asked to import: ImportError"),
    ],
)
def test_a_mistake_is_found_without_any_site(script: Path, before: str, after: str, code: str, words: str) -> None:
    file = script / "my_script" / "client_app.py"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    with pytest.raises(FedStudyProblem) as caught:
        dry_run(build(script), read_dictionary(script / "dictionary.json"), SMALL)
    assert caught.value.code == code
    assert words in caught.value.detail
    if isinstance(caught.value, ScriptFailed):
        assert "client_app.py" in caught.value.trace


def test_a_mistake_is_told_in_the_script_s_own_files_with_what_it_printed(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = script / "my_script" / "task.py"
    task.write_text(task.read_text().replace("import numpy", 'print("so far")\nimport nunpy', 1))
    command = ["script", "dry-run", str(script), "--dictionary", str(script / "dictionary.json"), "--sites", "1"]
    assert main([*command, "--prints"]) == 1
    out, err = capsys.readouterr()
    assert "site-1 | so far" in out
    assert f'File "{task}", line' in err
    assert "fedstudy-dry-run-" not in err


def test_a_parameter_out_of_its_range_is_refused_as_the_portal_does(script: Path) -> None:
    variables = read_dictionary(script / "dictionary.json")
    with pytest.raises(FedStudyProblem, match="E_RUN_CONFIG"):
        dry_run(build(script), variables, Setting(config={"local-steps": 0}))


def test_a_script_of_the_library_is_tried_with_its_sums_and_histograms(tmp_path: Path) -> None:
    source = ROOT / "federation" / "library" / "heart_disease"
    variables = read_dictionary(source / "dictionary.json")
    outcome = dry_run(build(source), variables, Setting(sites=2, rows=60, rounds=1, config={"local-steps": 5}))
    assert {"auc", "pooled-auc", "score-positives"} <= set(outcome.rounds[0]["evaluate"])


def test_an_app_that_leads_itself_is_led_by_its_own_server_app(script: Path) -> None:
    project = (script / "pyproject.toml").read_text()
    (script / "pyproject.toml").write_text(project.partition("# What FedStudy reads")[0])
    server = script / "my_script" / "server_app.py"
    outcome = dry_run(build(script), read_dictionary(script / "dictionary.json"), SMALL)
    assert [list(exchange) for exchange in outcome.rounds] == [["train"], ["evaluate"]] * 3
    server.write_text(server.read_text().replace("task.first_weights()", "task.no_weights()"))
    with pytest.raises(ScriptFailed, match="asked to lead: AttributeError"):
        dry_run(build(script), read_dictionary(script / "dictionary.json"), SMALL)


def test_a_new_script_has_a_plain_name_and_overwrites_nothing(script: Path, tmp_path: Path) -> None:
    with pytest.raises(FedStudyProblem, match="E_EXISTS"):
        new_script("my-script", script)
    for name in ("My-Script", "../x", "a--b", ""):
        with pytest.raises(FedStudyProblem, match="E_INVALID"):
            new_script(name, tmp_path / "other")


def test_without_the_extra_the_command_says_what_to_install(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str) -> Callable[[], None]:
        raise ImportError("No module named 'fedstudy_core'")

    monkeypatch.setattr("fedstudy_client.extras.importlib.import_module", absent)
    assert main(["script", "check", str(script)]) == 1
    assert "E_EXTRA" in (told := capsys.readouterr().err)
    assert "pip install 'fedstudy-client[dry-run]'" in told
