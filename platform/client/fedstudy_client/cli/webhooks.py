"""Webhooks: `fedstudy webhook list|add|remove|enable|disable|rotate|test|deliveries|repeat|verify`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from fedstudy_client import webhooks
from fedstudy_client.cli.choosing import InStudy
from fedstudy_client.cli.output import AsJson, Output, read_file
from fedstudy_client.cli.session import portal
from fedstudy_client.finding import find_study
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records_news import Delivery, Webhook

app = typer.Typer(help="Webhooks: servers that are told of a study's news.", no_args_is_help=True)
Which = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id.")]


@app.command("list")
def list_webhooks(study: InStudy = None, as_json: AsJson = False) -> None:
    """List a study's webhooks, newest first."""
    with portal() as connected:
        found = connected.webhooks.list(find_study(connected, study))
    output = Output(as_json)
    output.facts([item.raw for item in found])
    rows = [(item.url, ", ".join(item.kinds), item.state, item.disabled_reason, item.id) for item in found]
    output.table("Webhooks", ("address", "news", "state", "why", "id"), rows)


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where news goes: https://...")],
    *,
    kind: Annotated[list[str], typer.Option("--kind", help="Which news, such as run.completed; several times.")],
    study: InStudy = None,
    as_json: AsJson = False,
) -> None:
    """Have a study's news sent to an address. The secret that proves them genuine is shown this once."""
    with portal() as connected:
        made = connected.webhooks.register(find_study(connected, study), url, kinds=kind)
    _with_secret(made, Output(as_json))


@app.command()
def rotate(webhook: Which, as_json: AsJson = False) -> None:
    """Give a webhook a new secret; for a day messages have the signature of the old one too."""
    with portal() as connected:
        _with_secret(connected.webhooks.rotate(webhook), Output(as_json))


@app.command()
def enable(webhook: Which, as_json: AsJson = False) -> None:
    """Switch a webhook on again."""
    with portal() as connected:
        _say(connected.webhooks.enable(webhook), Output(as_json))


@app.command()
def disable(webhook: Which, as_json: AsJson = False) -> None:
    """Switch a webhook off; what happens meanwhile is not told later."""
    with portal() as connected:
        _say(connected.webhooks.disable(webhook), Output(as_json))


@app.command()
def remove(webhook: Which) -> None:
    """Remove a webhook with its list of messages."""
    with portal() as connected:
        connected.webhooks.remove(webhook)
    typer.echo("The webhook is removed.")


@app.command()
def test(webhook: Which, as_json: AsJson = False) -> None:
    """Send a message that says nothing; `deliveries` tells what became of it."""
    with portal() as connected:
        _show([connected.webhooks.test(webhook)], Output(as_json))


@app.command()
def deliveries(webhook: Which, as_json: AsJson = False) -> None:
    """List the messages of the last month, newest first."""
    with portal() as connected:
        _show(connected.webhooks.deliveries(webhook), Output(as_json))


@app.command()
def repeat(
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="The message's id of `deliveries`.")],
    as_json: AsJson = False,
) -> None:
    """Send a message again, with the id that it had."""
    with portal() as connected:
        _show([connected.webhooks.repeat(delivery)], Output(as_json))


@app.command()
def verify(
    *,
    secret_file: Annotated[Path, typer.Option(help="File with the webhook's secret (whsec_...).")],
    headers: Annotated[Path, typer.Option(help="File with the request's headers, a line each: Name: value.")],
    body: Annotated[Path, typer.Option(help="File with the request's body, byte for byte; - reads it from input.")],
    any_time: Annotated[bool, typer.Option("--any-time", help="Also one that is older than five minutes.")] = False,
) -> None:
    """Say whether a message that came is genuine, and what it tells."""
    pairs = (line.partition(":") for line in read_file(headers).decode("utf-8", "replace").splitlines() if ":" in line)
    given = {name.strip(): value.strip() for name, _, value in pairs}
    content = sys.stdin.buffer.read() if str(body) == "-" else read_file(body)
    secret = read_file(secret_file).decode("ascii", "replace").strip()
    longest = float("inf") if any_time else webhooks.TOLERANCE_S
    try:
        message = webhooks.verify(secret, given, content, tolerance_s=longest)
    except ValueError as error:
        raise FedStudyProblem("E_NOT_GENUINE", f"The message is not genuine: {error}.") from error
    typer.echo(json.dumps({"id": message.id, "type": message.type, "at": str(message.at), "data": message.data}))


def _with_secret(made: Webhook, output: Output) -> None:
    output.facts(made.raw)
    output.say(f"{made.url} is told of {', '.join(made.kinds)} ({made.id}). Its secret, shown this once:", made.secret)


def _say(webhook: Webhook, output: Output) -> None:
    output.facts(webhook.raw)
    output.say(f"{webhook.url} is {webhook.state}.")


def _show(found: list[Delivery], output: Output) -> None:
    output.facts([item.raw for item in found])
    rows = [
        (f"{item.created_at:%Y-%m-%d %H:%M:%S}" if item.created_at else "", item.kind, item.state, item.tries,
         item.status, item.problem, item.id)
        for item in found
    ]  # fmt: skip
    output.table("Messages (UTC)", ("at", "news", "state", "tries", "answer", "problem", "id"), rows)
