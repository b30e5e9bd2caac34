"""A script at work on a pooled table, behind the node's own walls."""

from dataclasses import replace
from pathlib import Path

import pyarrow
from pyarrow import parquet

from fedstudy_node import tables
from fedstudy_node.datasets import Datasets
from tests.factories.office import FAB, Office


def test_a_script_reads_pooled_rows_from_memory_and_no_more_once_they_are_taken_back(
    office: Office, memory: Path
) -> None:
    path = memory / "pooled.parquet"
    parquet.write_table(pyarrow.table({"age": [40, 50, 60, 70], "site": ["a", "a", "b", "b"]}), path)
    columns = tables.columns_of(tables.read_table(path, "parquet"))
    pooled = replace(
        office.node.dataset,
        path=str(path),
        format="parquet",
        columns=columns,
        fingerprint=tables.fingerprint("parquet", columns, tables.file_sha256(path)),
        rows=4,
        config={"pooled": True},
    )
    datasets = Datasets(office.node.home)
    datasets.add(pooled)
    office.node.dataset = pooled
    order = office.node.order(office.node.approve(FAB))
    account, content = office.read(office.ask(order))
    assert account.outcome == "done"
    assert content.metric_records["metrics"]["num-examples"] == 4
    datasets.remove(pooled)
    path.unlink()
    assert [run.child is not None for run in office.runs] == [True]
    assert list(office.desk.stop_halted()) == []
    assert [run.child for run in office.runs] == [None], "its process has seen the rows"
    assert office.error(office.ask(replace(order, round=2)))[0] == "E_DATASET"
