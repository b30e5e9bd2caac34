"""`witness show` and `witness accept`: to which log the portal is held, and the site's word that another one counts."""

from argparse import Namespace
from contextlib import closing
from typing import Any

from fedstudy_core.errors import Refusal
from fedstudy_core.transparency import successions
from fedstudy_core.transparency.notes import NoteKey
from fedstudy_core.transparency.successions import Succession
from fedstudy_core.transparency.witnessing import follow
from fedstudy_node.cli.output import Output, moment, plain
from fedstudy_node.connecting import open_portal
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.witness import Memory, Witness


def show(arguments: Namespace, output: Output) -> int:
    """Say what this node saw of the portal's log, by which key, and what it refused."""
    home = Home.open(arguments.home)
    memory = Witness(home).memory()
    output.facts(memory.told() | {"note": memory.note, "witness_key": Witness(home).public_key()})
    output.say(log_line(memory.told()), f"The log's key: {plain(memory.key or 'not pinned yet')}")
    output.say(f"This node cosigns by {plain(Witness(home).public_key())}")
    if memory.note:
        output.say(plain(memory.note))
    return 0


def log_line(told: dict[str, Any]) -> str:
    """Say in one line how the portal's log stands for this node."""
    if not told["key"]:
        return "Log: not seen yet."
    seen = f"{told['size']} events of {plain(told['origin'])}, last {moment(told['at'])}" if told["at"] else "not yet"
    refused = told["refused"]
    if refused:
        return (
            f"[bold]The portal's log is refused[/] since {moment(refused['at'])}: {plain(refused['detail'])} "
            f"({refused['code']}). Seen before: {seen}. Evidence: witness/{plain(refused['evidence'])}. "
            "Ask the portal's administrators; `fedstudy-node witness accept` is for a log that goes on elsewhere."
        )
    return f"Log: seen {seen}; cosigned up to {told['cosigned']}."


def accept(arguments: Namespace, output: Output) -> int:
    """Follow the log by which the portal goes on, after a person has compared what it says of the old one.

    Raises:
        Refusal: E_LOG_SUCCESSION, E_NOTE, E_NOTE_KEY, E_NOTE_SIGNATURE.
        NodeError: E_PORTAL, E_STATE.
    """
    home = Home.open(arguments.home)
    witness = Witness(home)
    memory = witness.memory()
    with closing(Ledger(home.ledger_path)) as ledger:
        with open_portal(home, ledger) as portal:
            answer = portal.log(0)
        key, told = _chosen(arguments, memory, answer)
        follow(key, None, str(answer.get("checkpoint", "")), ())
        output.say(*told)
        if not arguments.yes:
            output.confirm(f"Shall this node hold the portal to the log of {plain(key.name)} from now on?")
        witness.accept(key, ledger, why={"succession": str(answer.get("succession", ""))[:400]})
    output.facts({"key": str(key), "old_key": memory.key, "old_size": memory.size})
    output.say("The node follows this log from now on. What it saw of the old one stays in its folder `witness`.")
    return 0


def _chosen(arguments: Namespace, memory: Memory, answer: dict[str, Any]) -> tuple[NoteKey, list[str]]:
    """Return the key to follow, and what a person has to know about it."""
    if arguments.key:
        key = NoteKey.parse(arguments.key)
        return key, [f"The key {plain(arguments.key)} is the one that you gave."]
    if not answer.get("succession"):
        raise Refusal("E_LOG_SUCCESSION", "The portal shows no succession: there is nothing to accept.")
    found, by_old = successions.read(str(answer["succession"]).encode())
    if str(found.old) != memory.key:
        raise Refusal("E_LOG_SUCCESSION", "The portal's log goes on from another one than this node holds it to.")
    return found.new, _told(found, memory, by_old=by_old)


def _told(found: Succession, memory: Memory, *, by_old: bool) -> list[str]:
    held = memory.held.checkpoint if memory.held else None
    lines = [
        f"The log of [bold]{plain(found.old.name)}[/] goes on as [bold]{plain(found.new.name)}[/].",
        f"The portal says that the old one ended at {found.size} events, root {found.root.hex()}.",
        "The old log's key signed this as well." if by_old else "[bold]The old log's key did not sign this.[/]",
    ]
    if held is None:
        return [*lines, "This node never saw the old one."]
    if held.size > found.size:
        lines.append(f"[bold]This node saw more[/]: {held.size} events. The portal does not know the rest any more.")
    elif (held.size, held.root) == (found.size, found.root):
        lines.append("This is what this node saw last.")
    elif held.size == found.size:
        lines.append(f"[bold]This node saw another log of this size[/]: root {held.root.hex()}.")
    else:
        lines.append(f"This node saw {held.size} events.")
    return lines
