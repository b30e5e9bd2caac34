"""The site's hand on its node (pause, veto, new keys and passphrases), and its own record of what happened."""

import json
import re
from argparse import Namespace
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_node.cli.output import Output, moment, plain, read_passphrase
from fedstudy_node.control import Control
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home
from fedstudy_node.journal import Entry
from fedstudy_node.ledger import Ledger
from fedstudy_node.portal import Portal, open_client
from fedstudy_node.rotation import KeyChange
from fedstudy_node.trust import Trust

_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHORTEST_RUN = 8


def pause(arguments: Namespace, output: Output) -> int:
    """Refuse every message until `resume`; scripts that work now are ended."""
    home = Home.open(arguments.home)
    Control(home).pause(arguments.reason)
    _note(home, "paused", home.settings().node, {"reason": arguments.reason})
    output.facts({"paused": True, "reason": arguments.reason})
    output.say(
        "The node is [bold]paused[/]: scripts that work now are ended, and every message is refused (E_PAUSED).",
        "It stays connected. `fedstudy-node resume` lets it work again.",
    )
    return 0


def resume(arguments: Namespace, output: Output) -> int:
    """Take messages again."""
    home = Home.open(arguments.home)
    Control(home).resume()
    _note(home, "resumed", home.settings().node, {})
    output.facts({"paused": False})
    output.say("The node takes messages again.")
    return 0


def veto(arguments: Namespace, output: Output) -> int:
    """End this node's part in a run, for good."""
    home = Home.open(arguments.home)
    run = _find_run(home, arguments.run)
    Control(home).veto(run, arguments.reason)
    _note(home, "vetoed", run, {"reason": arguments.reason})
    output.facts({"run": run, "reason": arguments.reason})
    output.say(f"This node has no more part in run [bold]{run}[/], for good (E_VETO). Its script is ended.")
    return 0


def rotate(arguments: Namespace, output: Output) -> int:
    """Replace the node's own keys by new ones; a running agent goes on under them."""
    home = Home.open(arguments.home)
    settings = home.enrolled()
    with closing(Ledger(home.ledger_path)) as ledger, open_client(settings.portal, home.portal_ca()) as client:

        def open_portal(identity: Ed25519PrivateKey) -> Portal:
            return Portal(client, node=settings.node, identity=identity, ledger=ledger)

        words = KeyChange(home, open_portal).rotate(arguments.token)
    output.facts({"node": settings.node, "words": words})
    output.say(
        "The node has new keys of its own; the portal knows them, and the old ones are void.",
        f"Six words: [bold]{words}[/]. The portal shows the same on the node's page.",
        "What this node admitted by itself under a standing policy its agent admits again.",
    )
    return 0


def passphrase(arguments: Namespace, output: Output) -> int:
    """Change the passphrase of an approver's key."""
    home = Home.open(arguments.home)
    trust = Trust(home)
    entry = trust.find(arguments.approver) if arguments.approver else trust.on_console()
    old = read_passphrase(arguments.passphrase_file)
    trust.change_passphrase(entry, old, read_passphrase(arguments.new_passphrase_file, twice=True))
    _note(home, "passphrase_changed", entry.id, {"approver": entry.name})
    output.facts({"approver": entry.name, "id": entry.id})
    output.say(f"The key of {plain(entry.name)} opens by the new passphrase only.")
    return 0


def log(arguments: Namespace, output: Output) -> int:
    """Show the node's journal, newest first; with `--verify` compute its chain anew first."""
    home = Home.open(arguments.home)
    with closing(Ledger(home.ledger_path)) as ledger:
        head = ledger.journal.verify() if arguments.verify else ledger.journal.head()
        entries = ledger.journal.entries(arguments.limit)
    facts = {"verified": bool(arguments.verify), **head.model_dump(), "entries": [asdict(item) for item in entries]}
    output.facts(facts)
    output.table(
        "What happened at this node",
        ("No.", "When", "What", "Particulars"),
        [(item.sequence, moment(item.at), item.kind.replace("_", " "), _said(item)) for item in entries],
    )
    verdict = f"All {head.sequence} rows hold. " if arguments.verify else ""
    output.say(f"{verdict}Head {head.head} after {head.sequence} rows.")
    return 0


def left(arguments: Namespace, output: Output) -> int:
    """List what left this node, newest first: names and sizes, never values."""
    home = Home.open(arguments.home)
    with closing(Ledger(home.ledger_path)) as ledger:
        departures = ledger.departures(arguments.limit, arguments.run)
    output.facts([asdict(item) | {"contents": json.loads(item.contents or "null")} for item in departures])
    output.table(
        "What left this node",
        ("When", "Run", "Round", "What", "Bytes", "SHA-256"),
        [
            (
                moment(item.at),
                item.run[:8],
                item.round,
                f"{item.message_type}: {item.code or _names(item.contents)}",
                item.bytes_out,
                item.update_sha256[:8],
            )
            for item in departures
        ],
    )
    return 0


def _names(contents: str) -> str:
    """Name what a reply held: each array with its shape, each metric."""
    held = json.loads(contents or '{"arrays": {}, "metrics": {}}')
    arrays = [f"{name} {layout}" for record in held["arrays"].values() for name, layout in record.items()]
    return ", ".join([*arrays, *held["metrics"]])


def _said(entry: Entry) -> str:
    told = [f"{name.replace('_', ' ')}: {value}" for name, value in entry.detail.items() if value not in ("", None)]
    return "\n".join([entry.subject, *told])


def _note(home: Home, kind: str, subject: str, detail: Mapping[str, str]) -> None:
    with closing(Ledger(home.ledger_path)) as ledger:
        ledger.journal.append(kind, subject, detail)


def _find_run(home: Home, text: str) -> str:
    """Return a run's whole id from the beginning of it, as this node has met it. Raises NodeError (E_NOT_FOUND)."""
    if _RUN.fullmatch(text):
        return text
    with closing(Ledger(home.ledger_path)) as ledger:
        found = [run for run in ledger.runs() if len(text) >= _SHORTEST_RUN and run.startswith(text)]
    if len(found) != 1:
        raise NodeError(
            "E_NOT_FOUND", f"This node has met no run {text!r}: give the whole id that the run's page shows."
        )
    return found[0]
