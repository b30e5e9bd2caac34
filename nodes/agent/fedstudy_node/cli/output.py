"""What the console shows: plain words for people, or JSON for programs."""

import getpass
import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from fedstudy_node.errors import NodeError


@dataclass(frozen=True)
class Output:
    """One command's output: with `as_json` the facts and nothing else."""

    as_json: bool
    console: Console

    @classmethod
    def of(cls, arguments: Namespace) -> "Output":
        """Return the output that the command line asks for."""
        return cls(arguments.json, Console(highlight=False, soft_wrap=True))

    def facts(self, facts: Any) -> None:
        """Print facts for programs."""
        if self.as_json:
            print(json.dumps(facts, indent=1, default=str))

    def say(self, *lines: object) -> None:
        """Print lines for people."""
        if not self.as_json:
            for line in lines:
                self.console.print(line)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table for people."""
        rows = list(rows)
        if self.as_json:
            return
        if not rows:
            self.console.print(f"{plain(title)}: none")
            return
        table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(column, overflow="fold", no_wrap=number == 0)  # what is shortened cannot be typed again
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else plain("" if cell is None else cell) for cell in row))
        self.console.print(table)

    def confirm(self, question: str) -> None:
        """Ask for a yes. Raises NodeError (E_STATE)."""
        if not sys.stdin.isatty():
            raise NodeError("E_STATE", "Nobody is there to ask: add --yes to go on without asking.")
        if self.console.input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
            raise NodeError("E_STATE", "Not confirmed; nothing was done.")


def plain(text: object) -> str:
    """Words from elsewhere as the console may print them: they neither colour it nor steer it."""
    return escape(
        "".join(char if char in "\n\t" or char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))
    )


def moment(text: str) -> str:
    """A time of the node's files for people, to the minute: 2026-11-21 11:04 UTC."""
    return f"{text[:10]} {text[11:16]} UTC" if text else ""


def print_error(code: str, detail: str, *, as_json: bool) -> None:
    """Print an error on standard error: a code and a sentence."""
    if as_json:
        print(json.dumps({"code": code, "detail": detail}), file=sys.stderr)
    else:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]{code}[/] ", end="")
        print(detail, file=sys.stderr)


def read_passphrase(file: Path | None, *, twice: bool = False) -> bytes:
    """Read a passphrase from a file (its first line) or from the person at the terminal."""
    if file is not None:
        try:
            lines = file.read_text("utf-8").splitlines()
        except OSError as error:
            raise NodeError("E_PASSPHRASE", f"{file} cannot be read: {error.strerror}.") from error
        return lines[0].encode() if lines else b""
    if not sys.stdin.isatty():
        raise NodeError("E_PASSPHRASE", "Nobody is there to type a passphrase: use --passphrase-file.")
    first = getpass.getpass("Passphrase of the site's approval key: ")
    if twice and getpass.getpass("The same again: ") != first:
        raise NodeError("E_PASSPHRASE", "The two passphrases differ.")
    return first.encode()
