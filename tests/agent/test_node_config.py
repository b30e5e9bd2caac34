"""What a site gives to scripts beside a dataset's file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fedstudy_core.bundle import Declaration
from fedstudy_node import tables
from fedstudy_node.errors import NodeError
from fedstudy_node.node_config import for_drawing, for_script, parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("true", True), ("cohort a", "cohort a"), ('"7"', "7"), ("{dataset}", "{dataset}")],
)
def test_values_read_as_they_were_meant(text: str, value: object) -> None:
    assert parse_value("partition-id", text) == value


@pytest.mark.parametrize(
    ("key", "text"), [("dataset-path", "x"), ("drawing-key", "x"), ("a b", "x"), ("a", "x" * 501), ("a", "x\x1b[0m")]
)
def test_others_are_refused(key: str, text: str) -> None:
    with pytest.raises(NodeError, match="E_NODE_CONFIG"):
        parse_value(key, text)


def test_the_script_finds_its_own_path_of_the_dataset() -> None:
    given = for_script({"db-path": "file:{dataset}?mode=ro", "partition-id": 0}, Path("/data/dataset.db"), "sqlite")
    assert given == {
        "db-path": "file:/data/dataset.db?mode=ro",
        "partition-id": 0,
        "dataset-path": "/data/dataset.db",
        "dataset-format": "sqlite",
    }


def test_a_script_that_declares_replicates_and_no_other_gets_a_key_of_this_dataset() -> None:
    plain = Declaration.model_validate({"metrics": {"auc": "mean"}})
    drawing = Declaration.model_validate({"metrics": {"auc": "mean", "auc-replicates": "replicates"}})
    asked: list[bytes] = []

    def secret() -> bytes:
        asked.append(b"secret")
        return b"secret"

    assert for_drawing(plain, secret, "study", "dataset", "fingerprint") == {}
    assert not asked
    given = for_drawing(drawing, secret, "study", "dataset", "fingerprint")
    assert given == for_drawing(drawing, secret, "study", "dataset", "fingerprint")
    assert len(bytes.fromhex(str(given["drawing-key"]))) == 32
    others = [("study", "dataset", "another"), ("study", "another", "fingerprint"), ("other", "dataset", "fingerprint")]
    assert given not in [for_drawing(drawing, secret, *named) for named in others]


def test_a_database_of_one_table_is_a_dataset(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute('CREATE TABLE "the ""people""" (age INTEGER, chol REAL)')
        connection.execute('INSERT INTO "the ""people""" VALUES (63, 233.5), (45, NULL)')
    table = tables.read_table(path, tables.format_of(path))
    assert tables.columns_of(table) == [{"name": "age", "type": "integer"}, {"name": "chol", "type": "number"}]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(NodeError, match="2 tables"):
        tables.read_table(path, "sqlite")
