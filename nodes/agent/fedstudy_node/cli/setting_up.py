"""`init` and `enrol`: a node's keys, and its introduction to a portal."""

import ssl
from argparse import Namespace
from base64 import b64encode
from contextlib import closing
from dataclasses import replace
from typing import Any

from fedstudy_core import keys
from fedstudy_node import __version__, portal
from fedstudy_node.cli.output import Output, plain, read_passphrase
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, Settings, flower_public_pem, write_private
from fedstudy_node.ledger import Ledger
from fedstudy_node.page.address import page_address
from fedstudy_node.trust import SHORTEST_PASSPHRASE, Trust
from fedstudy_node.witness import Witness


def init(arguments: Namespace, output: Output) -> int:
    """Make the home and the keys."""
    passphrase = read_passphrase(arguments.passphrase_file, twice=True)
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise NodeError("E_PASSPHRASE", f"The passphrase needs {SHORTEST_PASSPHRASE} characters or more.")
    address = page_address(Settings(name=arguments.name, created_at="", page_port=arguments.page_port))
    home = Home.create(arguments.home, name=arguments.name)
    home.save(replace(home.settings(), page_port=arguments.page_port))
    approver = Trust(home).add_console_key(
        name=arguments.approver or arguments.name, role="site admin", passphrase=passphrase
    )
    output.facts({"home": str(home.path), "name": arguments.name, "approval_key": approver.key})
    output.say(
        f"Made the home of node [bold]{arguments.name}[/] in {home.path}.",
        f"Its keys never leave it. {plain(approver.name)} approves scripts for this site with the passphrase.",
        f"With `fedstudy-node run` it serves its own page at {address.origin}." if address else "It serves no page.",
        "Next: [bold]fedstudy-node enrol --portal https://... --token ...[/]",
    )
    return 0


def enrol(arguments: Namespace, output: Output) -> int:
    """Introduce the node by its one-time token and compare words with the portal."""
    home = Home.open(arguments.home)
    settings = home.settings()
    if settings.is_enrolled:
        raise NodeError("E_STATE", f"This node is enrolled at {settings.portal} already.")
    authority = _read_authority(arguments) if arguments.ca else None
    identity, approver = home.identity_key(), Trust(home).on_console()
    body = {
        "token": arguments.token,
        "name": settings.name,
        "identity_key": keys.public_text(identity.public_key()),
        "flower_key": flower_public_pem(home.flower_key()),
        "approval_key": approver.key,
        "approver": approver.name,
        "proof": b64encode(identity.sign(arguments.token.encode())).decode("ascii"),
        "agent_version": __version__,
    }
    with portal.open_client(arguments.portal, arguments.ca) as client:
        answer = portal.enrol(client, body)
    words = keys.six_words(body["identity_key"], body["flower_key"], body["approval_key"])
    if answer["words"] != words:
        raise NodeError("E_WORDS", f"The portal got other keys than this node sent. Words here: {words}.")
    if authority is not None:
        write_private(home.path / "portal-ca.pem", authority)
    address = portal.check_address(arguments.portal)
    settings = _keep(home, answer, address=address, words=words, approval_key=approver.key)
    with closing(Ledger(home.ledger_path)) as ledger:
        ledger.journal.append("enrolled", settings.node, {"portal": settings.portal, "words": words})
        if answer.get("log_key"):
            Witness(home).pin(str(answer["log_key"]), ledger)
    site = {"id": settings.site, "name": settings.site_name}
    output.facts({"node": settings.node, "site": site, "words": words, "superlink": settings.superlink})
    output.say(
        f"Enrolled as a node of [bold]{plain(settings.site_name)}[/].",
        f"Six words: [bold]{words}[/]",
        "The site's admin sees the same six words in the portal and confirms the node only if they agree.",
    )
    return 0


def _keep(home: Home, answer: dict[str, Any], *, address: str, words: str, approval_key: str) -> Settings:
    """Keep what the portal said about node, site and SuperLink."""
    write_private(home.path / "superlink-ca.pem", str(answer["superlink"]["ca_pem"]).encode())
    settings = replace(
        home.settings(),
        node=str(answer["node"]),
        site=str(answer["site"]["id"]),
        site_name=str(answer["site"]["name"]),
        superlink=str(answer["superlink"]["address"]),
        portal=address,
        words=words,
        approval_key=approval_key,
    )
    home.save(settings)
    return settings


def _read_authority(arguments: Namespace) -> bytes:
    """Read the portal's certificate authority. Raises NodeError (E_INVALID)."""
    try:
        content: bytes = arguments.ca.read_bytes()
        ssl.create_default_context(cadata=content.decode("ascii"))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise NodeError("E_INVALID", f"{arguments.ca} is not a readable certificate: {error}.") from error
    return content
