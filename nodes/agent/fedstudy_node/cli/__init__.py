"""The node's console: `fedstudy-node COMMAND`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fedstudy_core.approvers import ROLES
from fedstudy_core.errors import FedStudyError
from fedstudy_core.statement import SANDBOX_LEVELS
from fedstudy_node import __version__
from fedstudy_node.cli.output import Output, print_error

Command = Callable[[argparse.Namespace, Output], int]


def _command(module: str, name: str) -> Command:
    """Return a command whose module is imported when it runs: no command waits for another's imports."""

    def run(arguments: argparse.Namespace, output: Output) -> int:
        from importlib import import_module

        command: Command = getattr(import_module(f"fedstudy_node.cli.{module}"), name)
        return command(arguments, output)

    return run


def _shared() -> argparse.ArgumentParser:
    """Options that every command takes."""
    shared = argparse.ArgumentParser(add_help=False)
    home = os.environ.get("FEDSTUDY_HOME", "~/.fedstudy-node")
    shared.add_argument("--home", type=Path, default=Path(home), help="the node's home (or $FEDSTUDY_HOME)")
    shared.add_argument("--json", action="store_true", help="print facts as JSON")
    return shared


def _add_setup(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser
) -> None:
    init = commands.add_parser("init", parents=[shared], help="make this node's home and keys")
    init.add_argument(
        "--name", required=True, help="the node's name, as the site's admin registered it: letters, digits, . - _"
    )
    init.add_argument("--approver", default="", help="who approves scripts for this site (the node's name)")
    init.add_argument("--passphrase-file", type=Path, help="file with the passphrase of the approver's key")
    init.add_argument("--page-port", type=int, default=8601, help="port of the node's own page on localhost (0: none)")
    init.set_defaults(command=_command("setting_up", "init"))
    enrol = commands.add_parser("enrol", parents=[shared], help="introduce this node to a portal")
    enrol.add_argument("--portal", required=True, help="the portal's address, https://...")
    enrol.add_argument("--token", required=True, help="the one-time token that the portal showed")
    enrol.add_argument("--ca", type=Path, help="the portal's own certificate authority (PEM)")
    enrol.set_defaults(command=_command("setting_up", "enrol"))


def _add_datasets(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser
) -> None:
    dataset = commands.add_parser("dataset", help="the data that this node offers to studies")
    actions = dataset.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", parents=[shared], help="check a file against a study's dictionary and offer it")
    add.add_argument("--study", required=True, help="the study's id, or its title")
    add.add_argument("--name", required=True, help="a name for the dataset")
    add.add_argument("--two-people", action="store_true", help="scripts need a site admin's and a data steward's word")
    add.add_argument("--min-sites", type=int, default=1, help="fewest sites in a run, for every script")
    add.add_argument("--min-rows", type=int, default=1, help="fewest rows behind an answer, for every script")
    add.add_argument("--sandbox-min", choices=SANDBOX_LEVELS, default="S0", help="weakest sandbox for every script")
    add.add_argument("file", type=Path, help="a CSV, Parquet or SQLite file")
    add.set_defaults(command=_command("offering", "add"))
    config = actions.add_parser("config", parents=[shared], help="what scripts find in context.node_config")
    config.add_argument("dataset", help="the dataset's id or name")
    config.add_argument("values", nargs="*", metavar="NAME=VALUE", help="{dataset} stands for the file's path inside")
    config.add_argument("--unset", action="append", default=[], metavar="NAME", help="take a value away")
    config.set_defaults(command=_command("offering", "configure"))
    listing = actions.add_parser("list", parents=[shared], help="what this node offers")
    listing.set_defaults(command=_command("offering", "show"))


def _add_limits(sign: argparse.ArgumentParser) -> None:
    """Options that say what a signature grants."""
    sign.add_argument("--days", type=int, default=90, help="how long it is good for (at most 180)")
    sign.add_argument("--max-rounds", type=int, default=500, help="most rounds of a run")
    sign.add_argument("--min-sites", type=int, default=3, help="fewest sites in a run (3)")
    sign.add_argument("--min-rows", type=int, default=1, help="fewest rows behind an answer")
    sign.add_argument("--max-norm", type=int, help="largest L2 norm of an update (no bound)")
    sign.add_argument("--max-seconds", type=int, default=3600, help="longest work on one message")
    sign.add_argument("--max-memory", type=int, default=8192, help="most memory of the script (MiB)")
    sign.add_argument("--sandbox-min", choices=SANDBOX_LEVELS, default="S3", help="weakest sandbox for the script")


def _add_approvals(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser
) -> None:
    review = commands.add_parser("review", parents=[shared], help="what scripts ask for, their code and what changed")
    review.add_argument("version", nargs="?", help="the beginning of a script version's id, or of its hash")
    review.add_argument("--whole", action="store_true", help="all of its code, not only what changed")
    review.set_defaults(command=_command("reviewing", "review"))
    for name, text in (("approve", "sign that a script may run here"), ("reject", "sign that it may not")):
        sign = commands.add_parser(name, parents=[shared], help=text)
        sign.add_argument("version", help="the beginning of a script version's id, or of its hash")
        sign.add_argument("--dataset", required=name == "approve", help="the dataset's id or name")
        sign.add_argument("--approver", default="", help="who signs (see `trust list`)")
        sign.add_argument("--second", default="", help="the second person who signs, where the dataset asks for two")
        _add_limits(sign)
        sign.add_argument("--passphrase-file", type=Path, help="file with the approval key's passphrase")
        sign.add_argument("--yes", action="store_true", help="do not ask")
        sign.set_defaults(command=_command("approving", name))
    cosign = commands.add_parser("cosign", parents=[shared], help="sign what another person of this site signed before")
    cosign.add_argument("statement", nargs="?", help="the statement's id; without it, what waits is listed")
    cosign.add_argument("--approver", default="", help="who signs (whom the statement waits for)")
    cosign.add_argument("--passphrase-file", type=Path, help="file with the passphrase of the approver's key")
    cosign.add_argument("--yes", action="store_true", help="do not ask")
    cosign.set_defaults(command=_command("approving", "cosign"))
    revoke = commands.add_parser("revoke", parents=[shared], help="stop an approval from counting, at once")
    revoke.add_argument("approval", nargs="?", help="the approval's id (see `status`)")
    revoke.add_argument("--all", action="store_true", help="void every approval signed so far")
    revoke.add_argument("--reason", default="", help="why")
    revoke.set_defaults(command=_command("approving", "revoke"))


def _add_policies(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser
) -> None:
    policy = commands.add_parser(
        "policy", help="scripts that this node admits by itself, and what it would do with one"
    )
    actions = policy.add_subparsers(dest="action", required=True, metavar="ACTION")
    explain = actions.add_parser("explain", parents=[shared], help="say what would happen to a script here, and why")
    explain.add_argument("script", help="a version's id or hash, or a bundle's file")
    explain.add_argument("--dataset", default="", help="the dataset's id or name")
    explain.add_argument("--config", nargs="*", default=[], metavar="NAME=VALUE", help="what the run would set")
    explain.add_argument("--rounds", type=int, help="rounds of the run (as many as approved)")
    explain.add_argument("--sites", type=int, help="sites in the run (as many as asked for)")
    explain.add_argument("--phase", choices=("query", "train", "evaluate"), default="train", help="kind of message")
    explain.set_defaults(command=_command("policing", "explain"))
    add = actions.add_parser("add", parents=[shared], help="sign that named scripts may run here without asking again")
    add.add_argument("--dataset", required=True, help="the dataset's id or name")
    add.add_argument("--script", required=True, nargs="+", help="versions' ids, or SHA-256 of bundles")
    add.add_argument("--approver", default="", help="who signs (see `trust list`)")
    add.add_argument("--second", default="", help="the second person who signs, where the dataset asks for two")
    _add_limits(add)
    add.add_argument("--passphrase-file", type=Path, help="file with the passphrase of the approver's key")
    add.add_argument("--second-passphrase-file", type=Path, help="the same for the second person")
    add.add_argument("--yes", action="store_true", help="do not ask")
    add.set_defaults(command=_command("policing", "add"))
    listing = actions.add_parser("list", parents=[shared], help="the policies in force")
    listing.set_defaults(command=_command("policing", "show"))
    revoke = actions.add_parser("revoke", parents=[shared], help="take a policy back, at once")
    revoke.add_argument("policy", help="its id (the beginning of it)")
    revoke.add_argument("--reason", default="", help="why")
    revoke.set_defaults(command=_command("policing", "revoke"))


def _add_trust(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser
) -> None:
    trust = commands.add_parser("trust", help="the people whose signature counts at this node")
    actions = trust.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", parents=[shared], help="who may sign")
    listing.set_defaults(command=_command("trusting", "show"))
    for name, text in (
        ("add", "make a console key for another person"),
        ("invite", "print a one-time code to register a passkey on the node's page"),
    ):
        action = actions.add_parser(name, parents=[shared], help=text)
        action.add_argument("name", help="the person's name, as signatures shall bear it")
        action.add_argument("--role", choices=ROLES, default=ROLES[0], help="what they are at this site")
        action.set_defaults(command=_command("trusting", name))
        if name == "add":
            action.add_argument("--passphrase-file", type=Path, help="file with the passphrase of their key")
    remove = actions.add_parser("remove", parents=[shared], help="trust a key no more")
    remove.add_argument("approver", help="the person's name, or their key's id")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    remove.set_defaults(command=_command("trusting", "remove"))


def _add_control(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser
) -> None:
    pause = commands.add_parser("pause", parents=[shared], help="refuse all work until `resume`, and end what runs now")
    pause.add_argument("--reason", default="", help="why, for the portal to show")
    pause.set_defaults(command=_command("controlling", "pause"))
    resume = commands.add_parser("resume", parents=[shared], help="work again after a pause")
    resume.set_defaults(command=_command("controlling", "resume"))
    veto = commands.add_parser("veto", parents=[shared], help="end this node's part in one run, for good")
    veto.add_argument("run", help="the run's id (of one that came here before: its first 8 characters or more)")
    veto.add_argument("--reason", default="", help="why, for the portal to show")
    veto.set_defaults(command=_command("controlling", "veto"))
    rotate = commands.add_parser("rotate", parents=[shared], help="replace this node's own keys by new ones")
    rotate.add_argument("--token", default="", help="a one-time token from the portal, for a node that is frozen")
    rotate.set_defaults(command=_command("controlling", "rotate"))
    word = commands.add_parser("passphrase", parents=[shared], help="change the passphrase of an approver's key")
    word.add_argument("--approver", default="", help="whose (see `trust list`)")
    word.add_argument("--passphrase-file", type=Path, help="file with the passphrase so far")
    word.add_argument("--new-passphrase-file", type=Path, help="file with the new one")
    word.set_defaults(command=_command("controlling", "passphrase"))
    log = commands.add_parser("log", parents=[shared], help="the node's own record of all that happened here")
    log.add_argument("--limit", type=int, default=20, help="how many of the newest rows")
    log.add_argument("--verify", action="store_true", help="check that no row was altered or left out")
    log.set_defaults(command=_command("controlling", "log"))
    left = commands.add_parser("left", parents=[shared], help="what left this node: names, sizes and hashes")
    left.add_argument("--run", default="", help="of one run only (the beginning of its id)")
    left.add_argument("--limit", type=int, default=20, help="how many of the newest")
    left.set_defaults(command=_command("controlling", "left"))


def _add_witness(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser
) -> None:
    witness = commands.add_parser("witness", help="the portal's log, as this node saw it")
    actions = witness.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", parents=[shared], help="what was seen last, and what was refused")
    show.set_defaults(command=_command("witnessing", "show"))
    accept = actions.add_parser("accept", parents=[shared], help="follow a log that goes on under another name")
    accept.add_argument("--key", default="", help="its key (name+id+key), where you know it from elsewhere")
    accept.add_argument("--yes", action="store_true", help="do not ask")
    accept.set_defaults(command=_command("witnessing", "accept"))


def _add_page(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser) -> None:
    page = commands.add_parser("page", help="the node's own page, where people sign with passkeys")
    actions = page.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", parents=[shared], help="where it is")
    show.set_defaults(command=_command("page", "show"))
    change = actions.add_parser("set", parents=[shared], help="change where it is")
    change.add_argument("--host", help="the host name that browsers use; passkeys belong to it (localhost)")
    change.add_argument("--port", type=int, help="0 for no page")
    change.add_argument("--listen", help="this machine's address to serve it on")
    change.add_argument("--cert", type=Path, help="PEM file of its certificate; needed for any host but localhost")
    change.add_argument("--key", type=Path, help="PEM file of the certificate's key")
    change.set_defaults(command=_command("page", "set_up"))


def _add_pool(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", shared: argparse.ArgumentParser) -> None:
    pool = commands.add_parser("pool", help="share de-identified rows with a study's pool node")
    actions = pool.add_subparsers(dest="action", required=True, metavar="ACTION")
    key = actions.add_parser("recovery-key", parents=[shared], help="make this site's own key to what it will share")
    key.add_argument("file", type=Path, help="a new file for the secret, to be kept elsewhere")
    key.set_defaults(command=_command("pooling", "recovery_key"))
    about = {"preview": "what would leave: columns, rows, smallest groups", "consent": "sign that it may leave"}
    for name, text in about.items():
        action = actions.add_parser(name, parents=[shared], help=text)
        action.add_argument("study", help="the study's id, or its title")
        action.add_argument("-f", "--file", type=Path, required=True, help="what would be shared (consent.toml)")
        action.set_defaults(command=_command("pooling", name))
        if name == "consent":
            action.add_argument("--approver", required=True, help="who signs (see `trust list`)")
            action.add_argument(
                "--second", required=True, help="the second person: a site admin and a data steward sign"
            )
            action.add_argument("--passphrase-file", type=Path, help="file with the approver's passphrase")
            action.add_argument("--yes", action="store_true", help="do not ask")
    cosign = actions.add_parser("cosign", parents=[shared], help="sign a consent that another person signed before")
    cosign.add_argument("consent", nargs="?", help="the consent's id; without it, what waits is listed")
    cosign.add_argument("--approver", default="", help="who signs (whom the consent waits for)")
    cosign.add_argument("--passphrase-file", type=Path, help="file with the passphrase of the approver's key")
    cosign.add_argument("--yes", action="store_true", help="do not ask")
    cosign.set_defaults(command=_command("pooling", "cosign"))
    send = actions.add_parser("send", parents=[shared], help="seal the rows for the pool node and hand them in")
    send.add_argument("study", help="the study's id, or its title")
    send.set_defaults(command=_command("pooling", "send"))
    status = actions.add_parser("status", parents=[shared], help="what this site shares; what this pool node holds")
    status.set_defaults(command=_command("pooling", "status"))
    revoke = actions.add_parser("revoke", parents=[shared], help="take a consent back, at once")
    revoke.add_argument("study", help="the study's id, or its title; or the consent's id")
    revoke.add_argument("--delete", action="store_true", help="have the pool node destroy the rows")
    revoke.add_argument("--reason", default="", help="why")
    revoke.set_defaults(command=_command("pooling", "revoke"))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole console."""
    parser = argparse.ArgumentParser(prog="fedstudy-node", description="A hospital's node in FedStudy.")
    parser.add_argument("--version", action="version", version=f"fedstudy-node {__version__}")
    shared = _shared()
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_setup(commands, shared)
    _add_datasets(commands, shared)
    _add_approvals(commands, shared)
    _add_policies(commands, shared)
    _add_trust(commands, shared)
    _add_control(commands, shared)
    _add_page(commands, shared)
    _add_witness(commands, shared)
    _add_pool(commands, shared)
    run = commands.add_parser("run", parents=[shared], help="take part: connect and serve until stopped")
    run.set_defaults(command=_command("running", "run"))
    status = commands.add_parser("status", parents=[shared], help="how this node is doing")
    status.set_defaults(command=_command("running", "status"))
    sandbox = commands.add_parser("sandbox", parents=[shared], help="attack the sandbox of scripts; say what it stops")
    sandbox.set_defaults(command=_command("sandboxing", "show"))
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0 done, 1 an error with a code, 130 interrupted."""
    arguments = build_parser().parse_args(words)
    arguments.home = arguments.home.expanduser().absolute()
    try:
        return int(arguments.command(arguments, Output.of(arguments)))
    except FedStudyError as error:
        print_error(error.code, error.detail, as_json=arguments.json)
        for problem in error.errors:
            print(f"  {problem.field}: {problem.detail}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
