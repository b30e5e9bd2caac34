"""Options that many commands share: which run, which study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunName = Annotated[str, typer.Argument(metavar="RUN", help="Its id or label.")]
InStudy = Annotated[str | None, typer.Option("--study", help="The study's id, short name or title.")]
Into = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")]
Label = Annotated[str, typer.Option(help="What the run is called.")]
Strategy = Annotated[str | None, typer.Option(help="How the sites' models are combined.")]
StrategyValues = Annotated[
    list[str] | None, typer.Option("--strategy-set", metavar="NAME=VALUE", help="A parameter of the strategy.")
]
Values = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the script; several times.")
]
Rounds = Annotated[int | None, typer.Option(min=1, help="How many rounds.")]
