"""Any operation of the API: `fedstudy api METHOD PATH`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fedstudy_client.cli.output import keep_file, read_file
from fedstudy_client.cli.session import portal
from fedstudy_client.problem import FedStudyProblem

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(api)


def api(
    method: Annotated[str, typer.Argument(help="GET, POST, PUT, PATCH or DELETE.")],
    path: Annotated[str, typer.Argument(help="Below /api/v1/, such as studies or runs/ID/events.")],
    *,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field", "-f", metavar="NAME=VALUE", help="Of the query, or of what is sent: JSON, or else a text."
        ),
    ] = None,
    body: Annotated[Path | None, typer.Option(help="A file with the JSON to send; - reads it from input.")] = None,
    every_page: Annotated[bool, typer.Option("--all", help="Of a list every page, as one list.")] = False,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write what comes into.")
    ] = None,
) -> None:
    """Send any request of the API and print what it answers; /api/v1/openapi.json describes them all."""
    verb = method.upper()
    if verb not in METHODS:
        raise typer.BadParameter(f"One of {', '.join(METHODS)}.", param_hint="METHOD")
    if verb == "GET" and body is not None:
        raise typer.BadParameter("GET sends nothing.", param_hint="--body")
    if every_page and (verb != "GET" or out is not None):
        raise typer.BadParameter("For lists that are printed.", param_hint="--all")
    fields = _fields(field)
    with portal() as connected:
        if every_page:
            _print(list(connected.each(path, **fields)))
            return
        sent = None if verb == "GET" else {**_sent(body), **fields}
        content = connected.request(verb, path, body=sent, query=fields if verb == "GET" else None)
    if out is not None:
        keep_file(out, content)
    elif content:
        _show(content)


def _fields(pairs: list[str] | None) -> dict[str, Any]:
    """The fields of NAME=VALUE; what is no JSON is a text."""
    fields: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"“{pair}” is not NAME=VALUE.", param_hint="--field")
        try:
            fields[name] = json.loads(text)
        except ValueError:
            fields[name] = text
    return fields


def _sent(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    content = sys.stdin.buffer.read() if str(file) == "-" else read_file(file)
    try:
        value = json.loads(content)
    except ValueError as error:
        raise FedStudyProblem("E_FILE", f"{file} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise FedStudyProblem("E_FILE", f"{file} is no JSON object.")
    return value


def _show(content: bytes) -> None:
    """JSON in lines; text as it is. Raises FedStudyProblem (E_FILE) for bytes on a terminal."""
    try:
        _print(json.loads(content))
    except ValueError:
        if sys.stdout.isatty() and b"\0" in content:
            raise FedStudyProblem("E_FILE", "These are bytes; say where to: --output FILE.") from None
        sys.stdout.buffer.write(content)


def _print(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))
