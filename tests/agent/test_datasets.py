"""Datasets: fingerprints, and whether a file fits a study's dictionary."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from fedstudy_core import dictionary as dictionaries
from fedstudy_core.bands import band
from fedstudy_core.errors import FedStudyError
from fedstudy_node import tables
from fedstudy_node.datasets import Datasets
from fedstudy_node.scripting import open_dataset, open_table
from fedstudy_node.validation import Report, validate
from tests.factories.agent import make_node

DICTIONARY = dictionaries.parse(
    [
        {"name": "age", "type": "integer", "unit": "years", "min": 18, "max": 110},
        {"name": "chol", "type": "number", "unit": "mg/dl", "min": 50, "max": 700, "implausible": [0]},
        {"name": "sex", "type": "categorical", "codes": [{"value": 0, "label": "f"}, {"value": 1, "label": "m"}]},
        {"name": "smoker", "type": "boolean", "required": False},
        {"name": "seen", "type": "date", "required": False},
        {"name": "note", "type": "text", "required": False},
        {"name": "mrn", "type": "text", "identifier": True},
    ]
)
GOOD = {"age": [63, 45, 71], "chol": [233.5, 0, 250], "sex": [1, 0, 1]}


def check(changed: dict[str, object] | None = None, without: str = "") -> tuple[Report, set[tuple[str, str]]]:
    columns = {name: values for name, values in {**GOOD, **(changed or {})}.items() if name != without}
    report = validate(pd.DataFrame(columns), DICTIONARY)
    return report, {(finding.variable, finding.code) for finding in report.findings}


def test_a_fitting_file_passes_and_disguised_missing_values_are_told() -> None:
    report, found = check()
    assert report.passed
    assert ("chol", "implausible") in found
    assert ("chol", "missing_values") in found
    assert ("chol", "out_of_range") not in found


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        ({"age": [63, 45, 17]}, ("age", "out_of_range")),
        ({"age": [63, 45, 71.5]}, ("age", "wrong_type")),
        ({"age": ["63", "45", "?"]}, ("age", "wrong_type")),
        ({"age": [None, None, None]}, ("age", "no_values")),
        ({"chol": [233.5, float("inf"), 250]}, ("chol", "wrong_type")),
        ({"sex": [1, 0, 2]}, ("sex", "unknown_code")),
        ({"smoker": ["yes", "no", "sometimes"]}, ("smoker", "wrong_type")),
        ({"seen": ["2024-02-30", "2024-01-01", "2024-01-02"]}, ("seen", "wrong_type")),
        ({"mrn": ["a1", "a2", "a3"]}, ("mrn", "identifier_column")),
        ({"Patient_ID": [1, 2, 3]}, ("Patient_ID", "identifier_column")),
        ({"mother_name": ["x", "y", "z"]}, ("mother_name", "identifier_column")),
        ({"age.1": [1, 2, 3]}, ("age", "duplicate_column")),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_variable(
    changed: dict[str, object], finding: tuple[str, str]
) -> None:
    report, found = check(changed)
    assert not report.passed
    assert finding in found


def test_a_missing_variable_is_named() -> None:
    report, found = check(without="age")
    assert not report.passed
    assert ("age", "missing_variable") in found


def test_what_is_odd_but_usable_is_only_told() -> None:
    report, found = check({"weight": [1, 2, 3], "smoker": ["yes", "no", "1"], "seen": ["2024-01-01"] * 3})
    assert report.passed
    assert ("weight", "unknown_column") in found
    duplicated = validate(pd.DataFrame({name: values[:1] * 2 for name, values in GOOD.items()}), DICTIONARY)
    assert duplicated.passed
    assert "duplicate_rows" in {finding.code for finding in duplicated.findings}


def test_codes_are_the_same_written_as_number_or_text() -> None:
    for values in ([1, 0, 1], [1.0, 0.0, 1.0], ["1", "0", "1"]):
        assert check({"sex": values})[0].passed


def test_an_empty_file_is_refused() -> None:
    assert not validate(pd.DataFrame({name: [] for name in GOOD}), DICTIONARY).passed


def test_no_value_of_a_row_is_in_what_leaves() -> None:
    from fedstudy_node.registering import report_for_portal

    report, _ = check({"age": [63, 45, 199], "sex": [1, 0, 77], "seen": ["1931-07-04x"] * 3})
    sent = str(report_for_portal(report, {"age", "sex", "seen"}))
    for value in ("199", "77", "1931", "63"):
        assert value not in sent


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1, "1-9"), (9, "1-9"), (10, "10-49"), (303, "100-499"), (10**7, "100000+")]
)
def test_counts_leave_as_bands(count: int, text: str) -> None:
    assert band(count) == text


def test_a_fingerprint_names_columns_and_bytes(tmp_path: Path) -> None:
    columns = [{"name": "age", "type": "integer"}]
    one = tables.fingerprint("csv", columns, "0" * 64)
    assert one == tables.fingerprint("csv", columns, "0" * 64)
    assert one != tables.fingerprint("parquet", columns, "0" * 64)
    assert one != tables.fingerprint("csv", [{"name": "age", "type": "number"}], "0" * 64)
    assert one != tables.fingerprint("csv", columns, "1" * 64)


def test_a_touched_file_is_read_again_and_a_changed_one_noticed(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    datasets = Datasets(node.home)
    file = Path(node.dataset.path)
    assert datasets.present_fingerprint(node.dataset) == node.dataset.fingerprint
    text = file.read_text()
    file.write_text(text.replace("63", "64"))
    assert datasets.present_fingerprint(node.dataset) != node.dataset.fingerprint
    file.write_text(text)
    written = file.stat()
    assert datasets.present_fingerprint(node.dataset) == node.dataset.fingerprint
    file.write_text(text.replace("45", "46"))
    os.utime(file, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert datasets.present_fingerprint(node.dataset) != node.dataset.fingerprint, "its time was only set back"
    file.write_text(text)
    assert datasets.present_fingerprint(node.dataset) == node.dataset.fingerprint
    file.unlink()
    with pytest.raises(FedStudyError, match="E_DATASET_FILE"):
        datasets.present_fingerprint(node.dataset)


@pytest.mark.parametrize("name", ["../secrets", "", "nothing"])
def test_a_dataset_is_found_by_its_id_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(FedStudyError, match="E_DATASET"):
        Datasets(make_node(tmp_path).home).get(name)


def test_csv_and_parquet_read_the_same(tmp_path: Path) -> None:
    table = pd.DataFrame(GOOD)
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_parquet(tmp_path / "a.parquet")
    read = [tables.read_table(tmp_path / name, tables.format_of(tmp_path / name)) for name in ("a.csv", "a.parquet")]
    assert read[0].equals(read[1])
    assert tables.columns_of(read[0]) == tables.columns_of(read[1])


@pytest.mark.parametrize("content", [b"\xff\xfe\xfa\x00", b"", b'a,b\n"1,2\n'])
def test_a_file_that_is_no_table_is_an_error_for_people(tmp_path: Path, content: bytes) -> None:
    for name in ("a.csv", "a.parquet"):
        (tmp_path / name).write_bytes(content)
        for read in (tables.read_table, tables.read_arrow):
            with pytest.raises(FedStudyError, match="E_DATASET_FILE"):
                read(tmp_path / name, tables.format_of(tmp_path / name))
    with pytest.raises(FedStudyError, match="neither CSV"):
        tables.format_of(tmp_path / "a.xlsx")


def test_a_script_gets_a_table_of_its_own(tmp_path: Path) -> None:
    class Context:
        node_config = {"dataset-path": str(tmp_path / "a.csv")}

    pd.DataFrame(GOOD).to_csv(tmp_path / "a.csv", index=False)
    first = open_dataset(Context())
    first["age"] = 0
    assert list(open_dataset(Context())["age"]) == GOOD["age"]


def offered(path: Path) -> SimpleNamespace:
    return SimpleNamespace(node_config={"dataset-path": str(path)})


def test_arrow_and_pandas_read_the_same_rows(tmp_path: Path) -> None:
    table = pd.DataFrame({"age": [63, 45, 71], "chol": [233.5, None, 0.1], "sex": ["male", None, "NAn"]})
    table.to_csv(tmp_path / "a.csv", index=False, encoding="utf-8-sig")
    table.to_parquet(tmp_path / "a.parquet")
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        table.to_sql("patients", connection, index=False)
    for name in ("a.csv", "a.parquet", "a.db"):
        context = offered(tmp_path / name)
        assert open_table(context).to_pandas().equals(open_dataset(context)), name


def test_what_pandas_takes_for_missing_is_null(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("age,sex\n63,NA\n,male\n45,null\n")
    assert open_table(offered(tmp_path / "a.csv")).to_pydict() == {"age": [63, None, 45], "sex": [None, "male", None]}
