"""Tokens for programs: `fedstudy token list|create|revoke`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedstudy_client.cli.output import AsJson, Output, secret_file
from fedstudy_client.cli.session import portal
from fedstudy_client.problem import FedStudyProblem

app = typer.Typer(help="Your tokens for programs, right after `fedstudy login`; they never sign.", no_args_is_help=True)


@app.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """List your tokens that are not over."""
    with portal() as connected:
        found = connected.tokens.list()
    output = Output(as_json)
    output.facts([token.raw for token in found])
    rows = [
        (token.name, ", ".join(token.scopes), f"{token.hint}…", f"{token.expires_at:%Y-%m-%d}",
         f"{token.last_used_at:%Y-%m-%d}" if token.last_used_at else "never", token.id)
        for token in found
    ]  # fmt: skip
    output.table("Tokens", ("token", "for", "begins", "until", "used", "id"), rows)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, in words.")],
    *,
    scope: Annotated[
        list[str], typer.Option("--scope", help="read, design or run; several times for more than one.")
    ] = ["read"],  # noqa: B006  (typer reads it, nobody changes it)
    days: Annotated[int, typer.Option(min=1, max=90, help="Days until it is over.")] = 30,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Into a file that only you may read.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token; it is shown this once, or kept in a file. Use it as FEDSTUDY_TOKEN, with FEDSTUDY_URL."""
    output = Output(as_json)
    with portal() as connected:
        if out is None:
            made = connected.tokens.create(name, scopes=scope, days=days)
        else:
            with secret_file(out) as file:
                made = connected.tokens.create(name, scopes=scope, days=days)
                file.write(f"{made.token}\n")
            output.facts({**made.raw, "token": None, "file": str(out)})
            output.say(f"The token “{made.name}” is in {out}, until {made.expires_at:%Y-%m-%d}.")
            return
    output.facts(made.raw)
    if not as_json:
        typer.echo(f"“{made.name}”, until {made.expires_at:%Y-%m-%d}. It is shown this once:", err=True)
        typer.echo(made.token)


@app.command()
def revoke(token: Annotated[str, typer.Argument(help="Its id or name.")]) -> None:
    """End a token before its day."""
    with portal() as connected:
        found = [item for item in connected.tokens.list() if token in (item.id, item.name)]
        if len(found) != 1:
            raise FedStudyProblem(
                "E_AMBIGUOUS" if found else "E_NOT_FOUND",
                f"There is {'more than one' if found else 'no'} token “{token}”; `fedstudy token list` has their ids.",
            )
        connected.tokens.revoke(found[0])
    typer.echo(f"“{found[0].name}” is over.")
