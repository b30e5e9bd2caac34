"""Signing in and out: `fedstudy login`, `logout`, `whoami`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from fedstudy_client import credentials
from fedstudy_client.cli.output import AsJson, Output, read_file
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
    email: Annotated[str, typer.Option(help="Your e-mail address; asked for without it.")] = "",
    *,
    password_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the password; asked for without it.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with a token of “Your account”, in place of a password: for who has none."),
    ] = None,
    code: Annotated[str, typer.Option(help="Code of the second factor; asked for where the portal wants it.")] = "",
    ca: Annotated[Path | None, typer.Option(help="The portal's own certificate authority (PEM).")] = None,
    as_json: AsJson = False,
) -> None:
    """Sign in; the token is kept in a file that only you may read."""
    if token_file is not None and (email or password_file or code):
        raise typer.BadParameter("A token takes no e-mail address, password or code.", param_hint="--token-file")
    address, authority = _address(url), "" if ca is None else str(ca.resolve())
    token = "" if token_file is None else _first_line(token_file).strip()
    with FedStudy(address, token, verify=authority or True) as connected:
        if not token:
            _sign_in(connected, email or _asked("E-mail address", "--email"), _password(password_file), code)
        person = connected.me()
        credentials.save(Credentials(address, connected.token, authority))
    output = Output(as_json)
    output.facts({"url": address, "name": person.name, "email": person.email})
    output.say(f"Signed in at {address} as {person.name}.")
    if os.environ.get(credentials.TOKEN):
        typer.echo(f"{credentials.TOKEN} is set and goes first: other commands do not use this sign-in.", err=True)


def _address(url: str) -> str:
    """The portal's address without what follows it; a page's or the API's own is taken for it."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host = parts.hostname
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="URL") from error
    if not host or parts.scheme not in ("http", "https"):
        hint = f": https://{url}" if host and not parts.scheme else ""
        raise typer.BadParameter(f"An address begins with https://{hint}", param_hint="URL")
    if parts.scheme == "http" and host not in _LOOPBACK:
        typer.echo("The password and the token travel unprotected: this address is http, not https.", err=True)
    return url.rstrip("/").removesuffix("/api/v1")


def logout() -> None:
    """Give the token back and forget it."""
    kept = credentials.load()
    if kept is None:
        typer.echo("Nobody is signed in.", err=True)
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
        return _asked("Password", "--password-file", hide=True)
    return _first_line(file)


def _asked(what: str, option: str, *, hide: bool = False) -> str:
    if not sys.stdin.isatty():
        raise FedStudyProblem("E_CREDENTIALS", f"Nobody is there to type the {what.lower()}: use {option}.")
    return str(typer.prompt(what, hide_input=hide, err=True))


def _first_line(file: Path) -> str:
    lines = read_file(file).decode("utf-8", "replace").splitlines()
    if not lines or not lines[0]:
        raise FedStudyProblem("E_FILE", f"{file} is empty.")
    return lines[0]
