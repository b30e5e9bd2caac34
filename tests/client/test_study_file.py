"""Reading a study's file: what is right comes through, what is wrong is named by file, line and place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from devstack.stack import ROOT
from fedstudy_client import FedStudyProblem, study_code
from fedstudy_client.resources.runs import Runs
from fedstudy_client.study_code.model import SCHEMA_FILE, PlannedRun, StudyFile, schema
from fedstudy_client.study_code.reading import read_dictionary, read_study

EXAMPLE = ROOT / "platform" / "client" / "examples" / "heart-disease" / "study.yaml"
SHIPPED = Path(study_code.__file__).parent / SCHEMA_FILE
STUDY = """\
study:
  title: Hearts
sites:
  - name: Cleveland
  - name: Hungary
scripts:
  - name: regression
    library: heart_disease
runs:
  - label: First
    script: regression
    rounds: 3
"""


def problem_of(folder: Path, text: str) -> FedStudyProblem:
    (folder / "study.yaml").write_text(text, "utf-8")
    with pytest.raises(FedStudyProblem) as caught:
        read_study(folder / "study.yaml")
    return caught.value


def test_the_example_is_the_demo_s_study() -> None:
    code = read_study(EXAMPLE)
    assert [site.name for site in code.described.sites] == ["Cleveland", "Hungary", "Switzerland", "VA Long Beach"]
    assert len(code.described.runs) == 6
    assert [variable["name"] for variable in code.variables or ()][:2] == ["age", "sex"]
    assert code.protocol is not None
    Draft202012Validator(json.loads(schema())).validate(yaml.safe_load(EXAMPLE.read_text("utf-8")))


def test_the_shipped_schema_is_up_to_date() -> None:
    assert SHIPPED.read_text("utf-8") == schema()
    Draft202012Validator.check_schema(json.loads(schema()))


def test_a_run_of_the_file_has_every_field_of_a_plan() -> None:
    import inspect

    plan = set(inspect.signature(Runs.create).parameters) - {"self", "study", "version", "enrolments"}
    assert set(PlannedRun.model_fields) == plan | {"script", "sites"}


@pytest.mark.parametrize(
    ("before", "after", "line", "place", "detail"),
    [
        ("rounds: 3", "rounds: 0", 12, "runs[0].rounds", "greater than or equal to 1"),
        ("rounds: 3", "rounds: '3'", 12, "runs[0].rounds", "valid integer"),
        ("rounds: 3", "round: 3", 12, "runs[0].round", "no such name"),
        ("rounds: 3", "config: {a: [1]}", 12, "runs[0].config.a", "A number, a text, true or false"),
        ("rounds: 3", "quorum: 3", 12, "runs[0].quorum", "At most 2"),
        ("rounds: 3", "sites: [Cleveland, Zurich]", 12, "runs[0].sites[1]", "no site “Zurich”"),
        ("script: regression", "script: forest", 11, "runs[0].script", "no script “forest”"),
        ("  - name: Hungary", "  - name: cleveland", 5, "sites[1].name", "there twice"),
        ("    library: heart_disease\n", "", 7, "scripts[0]", "Either “library” or “path”"),
        ("library: heart_disease", "path: nowhere", 8, "scripts[0].path", "There is no folder"),
        ("  title: Hearts", "  title: ''", 2, "study.title", "at least 1 character"),
        ("  title: Hearts", "  aims: Predict", 1, "study.title", "Field required"),
        ("study:\n", "study:\n  title: Twice\n", 3, "study.title", "there twice"),
        ("sites:", "dictionary: [{name: 1a, type: integer}]\nsites:", 3, "dictionary[0].name", "a letter first"),
        ("sites:", "dictionary: [{name: a, type: real}]\nsites:", 3, "dictionary[0].type", "Expected 'integer'"),
        ("sites:", "dictionary: nowhere.json\nsites:", 3, "dictionary", "There is no file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_file_line_and_place(
    tmp_path: Path, before: str, after: str, line: int, place: str, detail: str
) -> None:
    assert before in STUDY
    problem = problem_of(tmp_path, STUDY.replace(before, after, 1))
    assert problem.code == "E_STUDY_FILE"
    assert [error.field for error in problem.errors] == [f"{tmp_path / 'study.yaml'}:{line}: {place}"]
    assert detail in problem.errors[0].detail


def test_what_is_no_yaml_is_named_by_line(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, STUDY + "  - [\n")
    assert (problem.code, ":14 is not YAML" in problem.detail) == ("E_STUDY_FILE", True)


def test_a_wrong_dictionary_is_named_by_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "dictionary.json").write_text('{"variables": [\n{"name": "age",\n"type": "real"}]}')
    with pytest.raises(FedStudyProblem, match="E_DICTIONARY") as caught:
        read_dictionary(tmp_path / "dictionary.json")
    assert caught.value.errors[0].field == f"{tmp_path / 'dictionary.json'}:3: [0].type"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PARTS = st.sampled_from([*StudyFile.model_fields, *PlannedRun.model_fields, "name", "path", "library", "title"])


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200) | JSON.map(json.dumps) | st.binary(max_size=60))
def test_any_file_is_read_or_refused(tmp_path: Path, text: str | bytes) -> None:
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    (tmp_path / "study.yaml").write_bytes(content)
    with pytest.raises(FedStudyProblem):
        read_study(tmp_path / "study.yaml")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_a_right_file_is_taken_or_refused_at_a_place(tmp_path: Path, data: st.DataObject) -> None:
    described: dict[str, Any] = yaml.safe_load(STUDY)
    part = described
    for _ in range(data.draw(st.integers(0, 2))):
        inner = [value for value in part.values() if isinstance(value, dict | list) and value]
        if not inner:
            break
        chosen = data.draw(st.sampled_from(inner))
        part = chosen if isinstance(chosen, dict) else chosen[0]
    part[data.draw(PARTS)] = data.draw(JSON)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(described, allow_unicode=True), "utf-8")
    try:
        read_study(tmp_path / "study.yaml")
    except FedStudyProblem as problem:
        assert problem.code in ("E_STUDY_FILE", "E_DICTIONARY", "E_FILE")
        assert all("study.yaml:" in error.field for error in problem.errors)


def test_anchors_may_be_used_and_loops_are_refused(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        STUDY.replace("    rounds: 3", "    config: &c {seed: 1}\n  - {label: Second, script: regression, config: *c}")
    )
    assert [run.config for run in read_study(tmp_path / "study.yaml").described.runs] == [{"seed": 1}] * 2
    assert problem_of(tmp_path, "study: &a {title: *a}\n").code == "E_STUDY_FILE"
    assert problem_of(tmp_path, "[" * 5000).code == "E_STUDY_FILE"
