"""The command line: `fedstudy COMMAND`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from fedstudy_client.cli import code, degrees, dictionaries, runs, scripts, session, studies
from fedstudy_client.cli.output import print_problem
from fedstudy_client.problem import FedStudyProblem

app = typer.Typer(
    name="fedstudy",
    help="Studies of a FedStudy portal from the command line. Problems are a code and a sentence on standard error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
session.add_to(app)
code.add_to(app)
app.add_typer(studies.app, name="study")
app.add_typer(dictionaries.app, name="dictionary")
app.add_typer(scripts.app, name="script")
app.add_typer(runs.app, name="run")
app.add_typer(degrees.app, name="degrees")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a problem, 2 for a command that is not used well."""
    try:
        app(sys.argv[1:] if arguments is None else list(arguments))
    except FedStudyProblem as problem:
        print_problem(problem)
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0
