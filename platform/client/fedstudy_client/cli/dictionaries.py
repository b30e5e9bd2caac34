"""Data dictionaries: `fedstudy dictionary convert|publish|fetch`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fedstudy_client.cli.output import AsJson, Output
from fedstudy_client.cli.session import portal
from fedstudy_client.client import FedStudy
from fedstudy_client.finding import find_study
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import DictionaryReading

app = typer.Typer(help="Data dictionaries.", no_args_is_help=True)
File = Annotated[
    Path,
    typer.Argument(help="A table (CSV), REDCap's own (CSV), JSON or YAML.", exists=True, dir_okay=False),
]
Into = Annotated[Path, typer.Option("--output", "-o", help="The file to write: .csv for a table, else JSON.")]
StudyName = Annotated[str | None, typer.Option(help="The study's id, short name or title.")]


@app.command()
def convert(file: File, output: Into, as_json: AsJson = False) -> None:
    """Write a data dictionary in another form, and tell what of it does not come along."""
    with portal() as connected:
        reading = _read(connected, file)
    shown = Output(as_json)
    shown.facts({"form": reading.form, "variables": len(reading.variables), "notes": reading.notes})
    _show_notes(reading, shown)
    _write(output, reading.csv if output.suffix == ".csv" and reading.csv else _as_json(reading.variables))
    shown.say(f"wrote {len(reading.variables)} variables to {output}")


@app.command()
def publish(
    file: File,
    study: StudyName = None,
    yes: Annotated[bool, typer.Option("--yes", help="Also where not everything comes along.")] = False,
    as_json: AsJson = False,
) -> None:
    """Publish a file as the study's data dictionary; before that, tell what of it does not come along."""
    shown = Output(as_json)
    with portal() as connected:
        place = find_study(connected, study)
        reading = _read(connected, file)
        _show_notes(reading, shown)
        if reading.notes and not yes and not _agreed():
            detail = "Nothing is published. Say --yes where what is told above may be left behind."
            raise FedStudyProblem("E_DICTIONARY_LEFT_OUT", detail)
        made = connected.dictionary.set(place, reading.variables)
    shown.facts({**made.raw, "notes": reading.notes})
    shown.say(f"Version {made.number} with {len(made.variables)} variables is the dictionary of “{place.title}”.")


@app.command()
def fetch(
    output: Into,
    study: Annotated[str | None, typer.Argument(help="Its id, short name or title; the only one without it.")] = None,
) -> None:
    """Write the study's newest data dictionary to a file."""
    with portal() as connected:
        place = find_study(connected, study)
        newest = connected.dictionary.get(place)
        table = connected.dictionary.table(place) if output.suffix == ".csv" else b""
    _write(output, table.decode("utf-8") or _as_json(newest.variables))
    typer.echo(f"wrote version {newest.number} to {output}")


def _read(connected: FedStudy, file: Path) -> DictionaryReading:
    """The portal reads tables and JSON, as on its pages; YAML is read here."""
    if file.suffix in (".yaml", ".yml"):
        from fedstudy_client.study_code.reading import plain_variables, read_dictionary

        return DictionaryReading("yaml", plain_variables(read_dictionary(file)), "", [])
    try:
        return connected.dictionary.read_file(file)
    except OSError as error:
        raise FedStudyProblem("E_FILE", f"{file} cannot be read: {error.strerror}.") from error


def _show_notes(reading: DictionaryReading, shown: Output) -> None:
    if reading.notes:
        names = ("row", "column", "variable", "code", "detail")
        shown.table(
            "Does not come along as it stands", names, [[note[name] for name in names] for note in reading.notes]
        )


def _agreed() -> bool:
    return sys.stdin.isatty() and typer.confirm("Publish the rest?", err=True)


def _as_json(variables: list[dict[str, Any]]) -> str:
    return json.dumps({"variables": variables}, indent=1, ensure_ascii=False) + "\n"


def _write(into: Path, text: str) -> None:
    try:
        into.write_text(text, "utf-8", newline="")
    except OSError as error:
        raise FedStudyProblem("E_FILE", f"{into} cannot be written: {error.strerror}.") from error
