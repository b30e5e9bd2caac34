"""What the command line shows: tables and sentences for people, or the facts as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from fedstudy_client.credentials import TOKEN
from fedstudy_client.problem import FedStudyProblem

AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]
_HINTS = {
    "E_SCOPE": "It would need another scope (read, design, run); signing and one's own account need a sign-in.",
    "E_AUTHENTICATION": "Say: fedstudy login URL",
    "E_STEP_UP": "Say: fedstudy login URL, and this again within ten minutes.",
}
_WIDE, _UNBOUND = 160, 10_000


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
            table.add_column(column, overflow="fold", justify="right" if numeric else "left", no_wrap=column == "id")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else plain(as_text(cell)) for cell in row))
        unbound = self.console.options.update(max_width=_UNBOUND)
        if self.console.is_terminal and Measurement.get(self.console, unbound, table).minimum > self.console.width:
            self._blocks(title, columns, rows)
        else:
            self.console.print(table)

    def _blocks(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table that is too wide for the terminal: a line for each value, so that ids stay whole."""
        self.console.print(plain(title), style="bold")
        for row in rows:
            for name, value in zip(columns, row, strict=True):
                cell = value if isinstance(value, Text) else plain(as_text(value))
                self.console.print(Text.assemble((f"  {name:16} ", "dim"), cell))
            self.console.print()


def read_file(file: Path) -> bytes:
    """The content of a file. Raises FedStudyProblem (E_FILE)."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise FedStudyProblem("E_FILE", f"{file} cannot be read: {error.strerror}.") from error


def keep_file(into: Path, content: bytes) -> None:
    """Write a file as a whole or not at all, and say so on standard error; `-` is standard output.

    Raises:
        FedStudyProblem: E_FILE.
    """
    if str(into) == "-":
        sys.stdout.buffer.write(content)
        return
    place = into.with_name(f"{into.name}.{os.getpid()}.part") if _is_plain(into) else into
    try:
        place.write_bytes(content)
        if place != into:
            place.replace(into)
    except OSError as error:
        if place != into:
            with suppress(OSError):
                place.unlink(missing_ok=True)
        raise FedStudyProblem("E_FILE", f"{into} cannot be written: {error.strerror}.") from error
    typer.echo(f"wrote {len(content):,} bytes to {into}", err=True)


def _is_plain(path: Path) -> bool:
    """Whether a path may be replaced: neither a device, a pipe nor a link, through which one writes."""
    return not path.is_symlink() and (path.is_file() or not path.exists())


@contextmanager
def secret_file(into: Path) -> Iterator[TextIO]:
    """A new file that only its owner may read, made before what is to be kept in it; taken away where that fails.

    Raises:
        FedStudyProblem: E_FILE.
    """
    try:
        handle = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                yield file
        except BaseException:
            into.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FedStudyProblem("E_FILE", f"{into} cannot be written: {error.strerror}.") from error


def make_folder(folder: Path) -> None:
    """Make a folder where there is none. Raises FedStudyProblem (E_FILE)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FedStudyProblem("E_FILE", f"{folder} cannot be made: {error.strerror}.") from error


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
    console.print(Text(problem.code, style="bold red"), plain(" ".join(filter(None, (problem.detail, _hint(problem))))))
    for error in problem.errors:
        console.print(plain(f"  {error.field or 'input'}: {error.detail}"))


def _hint(problem: FedStudyProblem) -> str:
    """What to do about a problem by the command line, where its own words do not say it."""
    if not problem.status:
        return ""
    if problem.code == "E_AUTHENTICATION" and os.environ.get(TOKEN):
        return f"{TOKEN} holds no token of this portal that is in force."
    return _HINTS.get(problem.code, "")
