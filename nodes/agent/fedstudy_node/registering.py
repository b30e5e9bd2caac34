"""From a file to a dataset that is offered: checked here, told to the portal in counts, bound when it fits."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedstudy_core.bands import band
from fedstudy_core.dictionary import DataDictionary
from fedstudy_core.statement import Floor
from fedstudy_node import tables
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.ledger import Ledger
from fedstudy_node.node_config import Value
from fedstudy_node.portal import Portal
from fedstudy_node.validation import Report, validate


@dataclass(frozen=True)
class Examined:
    """A file that was looked at. `dataset` has no id yet: the portal gives it."""

    dataset: Dataset
    report: Report
    dictionary: DataDictionary


def examine(
    path: Path,
    *,
    name: str,
    study: str,
    dictionary: DataDictionary,
    floor: Floor | None = None,
    besides: Sequence[str] = (),
    config: Mapping[str, Value] | None = None,
) -> Examined:
    """Check a file against a study's dictionary.

    Args:
        besides: columns that belong to the node and not to the study.
        config: what scripts find in `context.node_config`.

    Raises:
        NodeError: E_DATASET_FILE.
    """
    format_, floor = tables.format_of(path), floor or Floor()
    content = tables.file_sha256(path)
    table = tables.read_table(path, format_)
    columns = tables.columns_of(table)
    report = validate(table.drop(columns=list(besides)), dictionary)
    dataset = Dataset(
        id="",
        study=study,
        name=name,
        path=str(path),
        format=format_,
        fingerprint=tables.fingerprint(format_, columns, content),
        columns=columns,
        rows_band=band(report.rows),
        rows=report.rows,
        people=floor.people,
        min_sites=floor.min_sites,
        min_rows=floor.min_rows,
        sandbox_min=floor.sandbox_min,
        config=dict(config or {}),
    )
    return Examined(dataset, report, dictionary)


def register(
    found: Examined, datasets: Datasets, portal: Portal, ledger: Ledger, *, pooled: Sequence[str] = ()
) -> Dataset:
    """Tell the portal of a dataset, and bind it if it fits.

    Args:
        pooled: of a pool node's table, the consents under which its rows came.

    Raises:
        NodeError: E_PORTAL.
    """
    body = _told(found) | ({"pooled": list(pooled)} if pooled else {})
    dataset = replace(found.dataset, id=portal.add_dataset(body))
    if found.report.passed:
        datasets.add(dataset)
    about = {"name": dataset.name, "study": dataset.study, "fingerprint": dataset.fingerprint}
    ledger.journal.append("dataset_added" if found.report.passed else "dataset_not_fitting", dataset.id, about)
    return dataset


def _told(found: Examined) -> dict[str, Any]:
    """Return all that the portal is told of a dataset.

    Only names that the study's dictionary has are told: in a file without a header the first patient stands there.
    """
    dataset, declared = found.dataset, {variable.name for variable in found.dictionary.variables}
    return {
        "study": dataset.study,
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "format": dataset.format,
        "rows_band": dataset.rows_band,
        "columns": [column["name"] for column in dataset.columns if column["name"] in declared],
        "report": report_for_portal(found.report, declared),
    }


def report_for_portal(report: Report, declared: Collection[str]) -> dict[str, Any]:
    """Return what leaves of a report: codes, sentences and bands, no value of any row, no name of a strange column."""
    return {
        "checked": True,
        "passed": report.passed,
        "findings": [
            {
                "variable": finding.variable if finding.variable in declared else "",
                "code": finding.code,
                "severity": "error" if finding.blocks else "warning",
                "count_band": finding.count_band,
                "detail": finding.detail,
            }
            for finding in report.findings
        ],
    }
