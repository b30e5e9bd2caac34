"""`page`: where this node's own page is."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from fedstudy_node.cli.output import Output, plain
from fedstudy_node.home import Home, Settings
from fedstudy_node.page.address import PageAddress, page_address
from fedstudy_node.status import read_status


def show(arguments: Namespace, output: Output) -> int:
    """Say where the page is, and whether the agent serves it now."""
    home = Home.open(arguments.home)
    address = page_address(home.settings())
    now = read_status(home.status_path)
    served = bool(now["running"] and now.get("page"))
    problem = str(now.get("page_error", "")) if now["running"] else ""
    output.facts({"address": address.origin if address else "", "served": served, "problem": problem})
    if address is None:
        output.say("This node has no page: [bold]fedstudy-node page set --port 8601[/] gives it one.")
        return 0
    output.say(f"The node's page: [bold]{address.origin}[/]. Passkeys belong to {address.host}.")
    output.say("The agent serves it now." if served else f"It is not served now. {plain(problem)}".strip())
    return 0


def set_up(arguments: Namespace, output: Output) -> int:
    """Change where the page is; what is not named stays as it is.

    Raises:
        NodeError: E_INVALID when passkeys could not work there, or not safely.
    """
    home = Home.open(arguments.home)
    before = home.settings()
    changed: dict[str, str | int] = {
        "page_host": before.page_host if arguments.host is None else arguments.host.lower(),
        "page_port": before.page_port if arguments.port is None else arguments.port,
        "page_listen": before.page_listen if arguments.listen is None else arguments.listen,
        "page_cert": _file(arguments.cert, before.page_cert),
        "page_key": _file(arguments.key, before.page_key),
    }
    settings = replace(before, **changed)  # type: ignore[arg-type]
    address = check(settings)
    home.save(settings)
    output.facts({"address": address.origin if address else ""})
    if address is None:
        output.say("This node has no page any more.")
    else:
        output.say(f"The node's page: [bold]{address.origin}[/], from the agent's next start on.")
        if before.page_host != settings.page_host:
            output.say("Passkeys belong to a host: whoever registered one before registers another one here.")
    return 0


def check(settings: Settings) -> PageAddress | None:
    """Return where a page with these settings is, once all of it fits. Raises NodeError (E_INVALID)."""
    address = page_address(settings)
    if address is not None and address.secure:
        address.tls()
    return address


def _file(given: Path | None, before: str) -> str:
    if given is None:
        return before
    return str(given.expanduser().absolute())
