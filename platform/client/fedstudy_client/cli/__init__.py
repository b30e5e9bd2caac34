"""The command line: `fedstudy COMMAND`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from fedstudy_client.cli import (
    calling,
    code,
    degrees,
    dictionaries,
    releases,
    runs,
    scripts,
    session,
    studies,
    tokens,
    webhooks,
)
from fedstudy_client.cli.helping import keep_words
from fedstudy_client.cli.output import print_problem
from fedstudy_client.problem import FedStudyProblem

app = typer.Typer(
    name="fedstudy",
    help="Studies of a FedStudy portal from the command line. Problems are a code and a sentence on standard error.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 110, "help_option_names": ["--help", "-h"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fedstudy {version_of('fedstudy-client')}")
        raise typer.Exit


@app.callback()
def fedstudy(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


keep_words()
session.add_to(app)
code.add_to(app)
calling.add_to(app)
app.add_typer(studies.app, name="study")
app.add_typer(dictionaries.app, name="dictionary")
app.add_typer(scripts.app, name="script")
app.add_typer(runs.app, name="run")
app.add_typer(degrees.app, name="degrees")
app.add_typer(releases.app, name="release")
app.add_typer(webhooks.app, name="webhook")
app.add_typer(tokens.app, name="token")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a problem, 2 for a command not used well, 130 for Ctrl-C."""
    try:
        app(sys.argv[1:] if arguments is None else list(arguments))
    except FedStudyProblem as problem:
        print_problem(problem)
        return 1
    except OSError as error:
        return _not_written(error)
    except SystemExit as end:
        return _flushed(end.code if isinstance(end.code, int) else 0)
    return _flushed(0)


def _flushed(code: int) -> int:
    """What is printed goes out now, where it can still be told that it cannot."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return _not_written(error)
    return code


def _not_written(error: OSError) -> int:
    """A file, or what stands at the end of a pipe, takes nothing more."""
    with open(os.devnull, "w") as nothing, suppress(OSError, ValueError):  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), sys.stdout.fileno())  # what is left in the buffer goes nowhere, and says nothing
    if not isinstance(error, BrokenPipeError):
        where = f"{error.filename}: " if error.filename else ""
        print_problem(FedStudyProblem("E_FILE", f"{where}{error.strerror or error}."))
    return 1
