"""`dataset add`, `dataset config` and `dataset list`: what the hospital offers to studies."""

from argparse import Namespace
from contextlib import closing
from pathlib import Path

from rich.text import Text

from fedstudy_core.dictionary import DataDictionary
from fedstudy_core.statement import Floor
from fedstudy_node import tables
from fedstudy_node.cli.output import Output
from fedstudy_node.connecting import open_portal
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.node_config import Value, parse_value
from fedstudy_node.registering import examine, register, report_for_portal
from fedstudy_node.studies import dictionary_of, find_study
from fedstudy_node.validation import Finding, Report


def add(arguments: Namespace, output: Output) -> int:
    """Check a file against the study's dictionary; tell the portal what was found, in counts; offer it if it fits."""
    home = Home.open(arguments.home)
    home.enrolled()
    path: Path = arguments.file.expanduser().absolute()
    tables.format_of(path)
    floor = Floor(
        people=2 if arguments.two_people else 1,
        min_sites=arguments.min_sites,
        min_rows=arguments.min_rows,
        sandbox_min=arguments.sandbox_min,
    )
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        study = find_study(portal, arguments.study)
        dictionary = dictionary_of(study)
        found = examine(path, name=arguments.name, study=str(study["id"]), dictionary=dictionary, floor=floor)
        dataset, report = register(found, Datasets(home), portal, ledger), found.report
    _show_report(output, report, dataset, dictionary)
    if not report.passed:
        blocking = sum(finding.blocks for finding in report.findings)
        raise NodeError("E_DATASET_INVALID", f"The dataset does not fit the study's dictionary: {blocking} findings.")
    return 0


def show(arguments: Namespace, output: Output) -> int:
    """List what this node offers."""
    home = Home.open(arguments.home)
    datasets = Datasets(home)
    rows = [(item, _state(datasets, item)) for item in datasets.all()]
    output.facts(
        [
            {
                "id": item.id,
                "study": item.study,
                "name": item.name,
                "format": item.format,
                "rows_band": item.rows_band,
                "fingerprint": item.fingerprint,
                "state": state,
            }
            for item, state in rows
        ]
    )
    output.table(
        "Datasets",
        ("Name", "Study", "File", "Rows", "Fingerprint", "State"),
        [(item.name, item.study, item.path, item.rows_band, item.fingerprint[:12], state) for item, state in rows],
    )
    return 0


def configure(arguments: Namespace, output: Output) -> int:
    """Set, take away and show what scripts find in `context.node_config`. It stays at this node."""
    home = Home.open(arguments.home)
    dataset = Datasets(home).find(arguments.dataset)
    changes: dict[str, Value | None] = dict.fromkeys(arguments.unset)
    for text in arguments.values:
        name, equals, value = text.partition("=")
        if not equals:
            raise NodeError("E_NODE_CONFIG", f"{text!r} is not of the form NAME=VALUE.")
        changes[name] = parse_value(name, value)
    if changes:
        dataset = Datasets(home).configure(dataset, changes)
        with closing(Ledger(home.ledger_path)) as ledger:
            ledger.journal.append("dataset_configured", dataset.id, {"names": ", ".join(sorted(changes))})
    output.facts({"id": dataset.id, "name": dataset.name, "config": dict(dataset.config)})
    rows = [(name, str(value)) for name, value in dataset.config.items()]
    output.table(f"What scripts find in context.node_config beside {dataset.name}", ("Name", "Value"), rows)
    return 0


def _state(datasets: Datasets, dataset: Dataset) -> str:
    """Say whether the file is still the one that was offered."""
    try:
        unchanged = datasets.present_fingerprint(dataset) == dataset.fingerprint
    except NodeError:
        return "missing"
    return "unchanged" if unchanged else "changed"


def _show_report(output: Output, report: Report, dataset: Dataset, dictionary: DataDictionary) -> None:
    facts = {
        "id": dataset.id,
        "study": dataset.study,
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "rows_band": dataset.rows_band,
        "report": report_for_portal(report, {variable.name for variable in dictionary.variables}),
    }
    output.facts(facts)
    output.table(
        f"{dataset.name}: {report.rows} rows",
        ("Variable", "Finding", "Rows", "What", "For example"),
        [_row(finding) for finding in report.findings],
    )
    verdict = "fits the study's dictionary" if report.passed else "[bold]does not fit[/] the study's dictionary"
    output.say(f"The dataset {verdict}. Examples are shown here only; the portal was told bands of counts.")


def _row(finding: Finding) -> tuple[str, str | Text, int, str, str]:
    code = finding.code.replace("_", " ")
    return (
        finding.variable,
        Text(code, style="red") if finding.blocks else code,
        finding.count,
        finding.detail,
        ", ".join(finding.examples),
    )
