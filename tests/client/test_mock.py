"""Synthetic rows: whatever the dictionary, the node's own check has nothing against them."""

from __future__ import annotations

import io
import string
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.library.catalogue import ready_script
from federation.library.heart_disease.heart_disease.preparation import prepare
from fedstudy_client import FedStudyProblem
from fedstudy_client.mock import mock_rows, write_mock
from fedstudy_client.study_code.model import VARIABLES, Variable
from fedstudy_client.study_code.reading import plain_variables, read_dictionary
from fedstudy_core import dictionary as core
from fedstudy_node.validation import validate

NAMES = st.text(string.ascii_letters, min_size=1, max_size=8)
BOUNDS = st.integers(-1000, 1000) | st.decimals(-100, 100, places=2).map(float)
# Words that pandas reads as truth or as missing mean something else in a CSV file than in the dictionary.
WORDS = st.text(string.ascii_lowercase + " -", min_size=3, max_size=8).map(lambda word: f"x{word.strip()}")
SPECIAL = st.lists(st.integers(-9, 9) | st.sampled_from(["unknown", -9.5, 999]), max_size=3)


@st.composite
def variables(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """One variable of a dictionary, as a person could describe it."""
    kind = draw(st.sampled_from(["integer", "number", "categorical", "boolean", "date", "text"]))
    made: dict[str, Any] = {"name": name, "type": kind, "required": draw(st.booleans())}
    if kind in ("integer", "number"):
        low, high = draw(st.none() | BOUNDS), draw(st.none() | BOUNDS)
        if low is not None and high is not None and high < low + 20:
            high = low + 20
        made |= {"min": low, "max": high}
        made["implausible"] = draw(SPECIAL)
    if kind == "categorical":
        codes = draw(st.lists(WORDS | st.integers(-99, 99), min_size=1, max_size=6, unique_by=str))
        made["codes"] = [{"value": code} for code in codes]
    return made


@st.composite
def dictionaries(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique_by=str.lower))
    return [draw(variables(name)) for name in names]


def table_of(described: list[Variable], rows: int, seed: int, folder: Path) -> pandas.DataFrame:
    """The rows as a node reads them."""
    write_mock(described, rows, folder / "rows.csv", seed=seed)
    return pandas.read_csv(folder / "rows.csv", encoding="utf-8-sig", skipinitialspace=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(described=dictionaries(), rows=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_every_row_passes_the_node_s_own_check(
    described: list[dict[str, Any]], rows: int, seed: int, tmp_path: Path
) -> None:
    read = VARIABLES.validate_python(described)
    report = validate(table_of(read, rows, seed, tmp_path), core.parse(described))
    assert report.rows == rows
    assert [finding for finding in report.findings if finding.blocks] == []


@given(described=dictionaries(), seed=st.integers())
@settings(max_examples=20, deadline=None)
def test_the_same_seed_gives_the_same_rows(described: list[dict[str, Any]], seed: int) -> None:
    read = VARIABLES.validate_python(described)
    assert list(mock_rows(read, 20, seed=seed)) == list(mock_rows(read, 20, seed=seed))


@pytest.fixture
def heart(tmp_path: Path) -> list[Variable]:
    file = tmp_path / "dictionary.json"
    file.write_bytes(ready_script("heart_disease").dictionary or b"")
    return read_dictionary(file)


def test_rows_of_a_real_dictionary_serve_the_script_that_it_is_of(heart: list[Variable], tmp_path: Path) -> None:
    table = table_of(heart, 300, 7, tmp_path)
    assert list(table.columns) == [variable.name for variable in heart]
    assert table["chol"].isna().sum() > 0, "what may be missing is so now and then"
    assert (table["trestbps"] == 0).sum() > 0, "implausible values are there now and then"
    assert table["age"].between(18, 110).all()
    split = prepare(table.to_dict("list"))
    assert len(split.train) + len(split.test) > 200
    assert list(mock_rows(heart, 5, seed=1)) != list(mock_rows(heart, 5, seed=2))


def test_identifiers_are_left_out() -> None:
    read = VARIABLES.validate_python(
        [{"name": "mrn", "type": "text", "identifier": True}, {"name": "a", "type": "date"}]
    )
    assert next(mock_rows(read, 1)) == ["a"]
    with pytest.raises(FedStudyProblem, match="E_DICTIONARY"):
        next(mock_rows(read[:1], 1))


@pytest.mark.parametrize(
    "variable",
    [
        {"type": "integer", "min": 0.2, "max": 0.8},
        {"type": "integer", "min": 0, "max": 1, "implausible": [0, 1]},
        {"type": "number", "min": 3, "max": 3, "implausible": [3]},
        {"type": "categorical", "codes": [{"value": 9}], "implausible": [9.0]},
    ],
)
def test_a_variable_that_no_value_fits_is_named(variable: dict[str, Any]) -> None:
    with pytest.raises(FedStudyProblem, match="No plausible value fits “a”"):
        list(mock_rows(VARIABLES.validate_python([{"name": "a", **variable}]), 3))


@given(described=dictionaries())
@settings(max_examples=20, deadline=None)
def test_variables_are_written_as_the_portal_keeps_them(described: list[dict[str, Any]]) -> None:
    kept = core.parse(described).model_dump(mode="json")["variables"]
    assert plain_variables(VARIABLES.validate_python(described)) == list(kept)


def test_the_client_s_variable_has_the_fields_of_the_portal_s() -> None:
    assert set(Variable.model_fields) == set(core.Variable.model_fields)


def test_the_rows_are_what_a_csv_reader_gives_back(heart: list[Variable], tmp_path: Path) -> None:
    rows = list(mock_rows(heart, 10))
    table = pandas.read_csv(io.StringIO("\n".join(map(",".join, rows))), dtype=str, keep_default_na=False)
    assert table.to_numpy().tolist() == rows[1:]
