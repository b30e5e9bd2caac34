"""`trust`: the people of this site whose signature counts here."""

from argparse import Namespace
from contextlib import closing

from fedstudy_core.approvers import ApproverKey
from fedstudy_node.cli.output import Output, moment, plain, read_passphrase
from fedstudy_node.connecting import open_portal, told
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.trust import CODE_LIFE, Trust


def show(arguments: Namespace, output: Output) -> int:
    """List the approvers."""
    entries = Trust(Home.open(arguments.home)).all()
    output.facts([{"id": entry.id, **entry.model_dump()} for entry in entries])
    output.table(
        "Who may sign for this site",
        ("Name", "Role", "Signs with", "Key", "Since"),
        [(entry.name, entry.role, entry.kind, entry.id[:12], moment(entry.added_at)) for entry in entries],
    )
    return 0


def add(arguments: Namespace, output: Output) -> int:
    """Make a console key for another person, who types its passphrase."""
    home = Home.open(arguments.home)
    passphrase = read_passphrase(arguments.passphrase_file, twice=True)
    entry = Trust(home).add_console_key(name=arguments.name, role=arguments.role, passphrase=passphrase)
    _note_and_tell(home, "approver_added", entry)
    output.facts({"id": entry.id, "name": entry.name, "role": entry.role})
    output.say(f"{plain(entry.name)} ({entry.role}) signs with the key {entry.id[:12]} from now on.")
    return 0


def invite(arguments: Namespace, output: Output) -> int:
    """Print a one-time code with which a person registers a passkey on the node's own page."""
    home = Home.open(arguments.home)
    code = Trust(home).invite(name=arguments.name, role=arguments.role)
    with closing(Ledger(home.ledger_path)) as ledger:
        ledger.journal.append("code_printed", arguments.name, {"role": arguments.role})
    minutes = int(CODE_LIFE.total_seconds() // 60)
    output.facts({"code": code, "name": arguments.name, "role": arguments.role, "minutes": minutes})
    output.say(
        f"One-time code for {plain(arguments.name)}: [bold]{code[:4]}-{code[4:8]}-{code[8:]}[/]",
        f"Good for {minutes} minutes on this node's own page, for one passkey. Tell it to nobody else.",
    )
    return 0


def remove(arguments: Namespace, output: Output) -> int:
    """Trust a key no more; what it signed no longer counts."""
    home = Home.open(arguments.home)
    trust = Trust(home)
    entry = trust.find(arguments.approver)
    if not arguments.yes:
        output.confirm(f"End the trust in {plain(entry.name)} ({entry.kind})? What they signed no longer counts here.")
    trust.remove(entry)
    _note_and_tell(home, "approver_removed", entry)
    output.facts({"removed": entry.id})
    output.say(f"{plain(entry.name)} can sign for this site no more, and what they signed no longer counts.")
    return 0


def _note_and_tell(home: Home, kind: str, entry: ApproverKey) -> None:
    """Write into the journal who may sign from now on or no more, and tell the portal, or leave that to the agent."""
    with closing(Ledger(home.ledger_path)) as ledger:
        ledger.journal.append(kind, entry.name, {"role": entry.role, "kind": entry.kind, "key": entry.id})
        if home.settings().is_enrolled:
            with open_portal(home, ledger) as portal:
                people = [known.model_dump() for known in Trust(home).all()]
                told(lambda: portal.tell_approvers(people))
