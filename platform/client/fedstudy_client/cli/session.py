"""Signing in and out: `fedstudy login`, `logout`, `whoami`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from fedstudy_client import credentials
from fedstudy_client.cli.output import AsJson, Output
from fedstudy_client.client import FedStudy
from fedstudy_client.credentials import Credentials
from fedstudy_client.problem import FedStudyProblem

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(login)
    app.command()(logout)
    app.command()(whoami)


@contextmanager
def portal() -> Iterator[FedStudy]:
    """The portal, as the person who is signed in. Raises FedStudyProblem (E_AUTHENTICATION)."""
    with credentials.current().connect() as connected:
        yield connected


def login(
    url: Annotated[str, typer.Argument(help="The portal's address, https://...")],
    email: Annotated[str, typer.Option(prompt="E-mail address", help="Your e-mail address.")],
    *,
    password_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the password; asked for without it.")
    ] = None,
    code: Annotated[str, typer.Option(help="Code of the second factor; asked for where the portal wants it.")] = "",
    ca: Annotated[Path | None, typer.Option(help="The portal's own certificate authority (PEM).")] = None,
    as_json: AsJson = False,
) -> None:
    """Sign in; the token is kept in a file that only you may read."""
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise typer.BadParameter("An address begins with https://", param_hint="URL")
    if address.scheme == "http" and address.hostname not in _LOOPBACK:
        typer.echo("The password and the token travel unprotected: this address is http, not https.", err=True)
    authority = "" if ca is None else str(ca.resolve())
    with FedStudy(url.rstrip("/"), verify=authority or True) as connected:
        _sign_in(connected, email, _password(password_file), code)
        person = connected.me()
        credentials.save(Credentials(url.rstrip("/"), connected.token, authority))
    output = Output(as_json)
    output.facts({"url": url.rstrip("/"), "name": person.name, "email": person.email})
    output.say(f"Signed in at {url.rstrip('/')} as {person.name}.")


def logout() -> None:
    """Give the token back and forget it."""
    kept = credentials.load()
    if kept is None:
        typer.echo("Nobody is signed in.")
        return
    try:
        with kept.connect() as connected:
            connected.logout()
    except FedStudyProblem as problem:
        if problem.code != "E_AUTHENTICATION":  # the portal ended the token already
            raise
    credentials.forget()
    typer.echo(f"Signed out at {kept.url}.")


def whoami(as_json: AsJson = False) -> None:
    """Show who is signed in, where, and in which roles."""
    signed_in = credentials.current()
    with signed_in.connect() as connected:
        person = connected.me()
    output = Output(as_json)
    output.facts({"url": signed_in.url, "name": person.name, "email": person.email, "roles": person.roles})
    output.say(f"{person.name} ({person.email}) at {signed_in.url}")
    output.table("Roles", ("role", "of", "name"), [(item["role"], item["kind"], item["name"]) for item in person.roles])


def _sign_in(portal: FedStudy, email: str, password: str, code: str) -> None:
    try:
        portal.login(email, password, code)
    except FedStudyProblem as problem:
        if problem.code != "E_FACTOR" or code or not sys.stdin.isatty():
            raise
        portal.login(email, password, str(typer.prompt("Code of your second factor", err=True)))


def _password(file: Path | None) -> str:
    if file is None:
        if not sys.stdin.isatty():
            raise FedStudyProblem("E_CREDENTIALS", "Nobody is there to type a password: use --password-file.")
        return str(typer.prompt("Password", hide_input=True, err=True))
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError as error:
        raise FedStudyProblem("E_FILE", f"{file} cannot be read: {error.strerror}.") from error
    return lines[0] if lines else ""
