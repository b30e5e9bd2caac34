"""What the command line shows: tables and sentences for people, or the facts as JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fedstudy_client.problem import FedStudyProblem

AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]
_WIDE = 160


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)


@dataclass(frozen=True)
class Output:
    """One command's output; with `as_json` the facts and nothing else."""

    as_json: bool = False
    console: Console = field(default_factory=_console)

    def facts(self, facts: Any) -> None:
        """Print facts for programs."""
        if self.as_json:
            print(json.dumps(facts, indent=1, default=str, ensure_ascii=False))

    def say(self, *lines: object) -> None:
        """Print lines for people."""
        if not self.as_json:
            for line in lines:
                self.console.print(line if isinstance(line, Text) else plain(line))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table for people; numbers stand right."""
        rows = [tuple(row) for row in rows]
        if self.as_json:
            return
        if not rows:
            self.say(f"{title}: none")
            return
        table = Table(title=plain(title), title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for number, column in enumerate(columns):
            numeric = all(isinstance(row[number], int | float) for row in rows)
            table.add_column(column, overflow="fold", justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else plain(as_text(cell)) for cell in row))
        self.console.print(table)


def plain(text: object) -> Text:
    """Words from elsewhere as a terminal may print them: they neither colour it nor steer it."""
    shown = (char if char in "\n\t" or char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))
    return Text("".join(shown))


def as_text(value: object) -> str:
    """A value of a table as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(as_text, value))
    return str(value)


def print_problem(problem: FedStudyProblem) -> None:
    """Print a problem on standard error: a code and a sentence, then a line for each wrong field."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text(problem.code, style="bold red"), plain(problem.detail))
    for error in problem.errors:
        console.print(plain(f"  {error.field or 'input'}: {error.detail}"))
