"""What `--help` shows: typer 0.20, which Flower asks for, loses words beside click 8.5 and beside rich."""

from __future__ import annotations

from typing import Any

from typer import core, main


class Argument(core.TyperArgument):
    """An argument that keeps its help, which click's own constructor empties."""

    def __init__(self, *, help: str | None = None, **options: Any) -> None:
        super().__init__(help=help, **options)
        self.help = help


def keep_words() -> None:
    """Have arguments keep their help, and defaults stand in brackets without a backslash."""
    setattr(main, "TyperArgument", Argument)  # noqa: B010 - typer has no other place for it
    core.HAS_RICH = False
