"""`run` and `status`."""

import fcntl
import os
import signal
import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

from fedstudy_core.statement import read_unverified
from fedstudy_node.approvals import Approvals
from fedstudy_node.cli.output import Output, moment, plain
from fedstudy_node.cli.witnessing import log_line
from fedstudy_node.clock import warning
from fedstudy_node.control import Control
from fedstudy_node.datasets import Datasets
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.signatures import signed_by
from fedstudy_node.status import read_status
from fedstudy_node.witness import Witness

NOT_RUNNING, DISCONNECTED = 3, 4


def run(arguments: Namespace, output: Output) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from fedstudy_node import logs
    from fedstudy_node.supervisor import serve

    home = Home.open(arguments.home)
    settings = home.enrolled()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _only_one(home):
        logs.set_up(home.log_path)
        output.say(f"Node [bold]{settings.name}[/] of {plain(settings.site_name)} serves; Ctrl-C stops it.")
        serve(home, stop)
    return 0


@contextmanager
def _only_one(home: Home) -> Iterator[None]:
    """Hold the home: two agents with the same keys would throw each other off the SuperLink."""
    descriptor = os.open(home.path / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise NodeError("E_STATE", "An agent runs with this home already.") from error
    finally:
        os.close(descriptor)


def status(arguments: Namespace, output: Output) -> int:
    """Say how the node is doing: enrolment, connections, datasets, approvals, what left last.

    Returns 0 when the agent runs and is connected, 3 when it does not run, 4 when it has no connection.
    """
    home = Home.open(arguments.home)
    facts = _facts(home)
    output.facts(facts)
    output.say(f"Node [bold]{facts['name']}[/], " + _enrolment(facts["site"], facts["words"]))
    output.say(_agent_line(facts["agent"]))
    output.say(_sandbox_line(facts["agent"]))
    output.say(log_line(facts["log"]))
    _say_control(facts, output)
    output.table(
        "Datasets", ("Name", "Rows", "Id"), [(row["name"], row["rows_band"], row["id"]) for row in facts["datasets"]]
    )
    output.table(
        "Approvals",
        ("Id", "Script", "Decision", "Until", "Signed by"),
        [
            (row["statement"][:12], row["script"], row["decision"], moment(row["not_after"]), row["signed_by"])
            for row in facts["approvals"]
        ],
    )
    columns = ("round", "message_type", "outcome", "code", "bytes_out")
    output.table(
        "What left last",
        ("When", "Round", "Message", "Outcome", "Code", "Bytes"),
        [[moment(row["at"]), *(row[column] for column in columns)] for row in facts["last_replies"]],
    )
    return _exit_status(facts["agent"])


def _exit_status(agent: dict[str, object]) -> int:
    if not agent["running"]:
        return NOT_RUNNING
    return 0 if agent.get("fleet") == agent.get("portal") == "connected" else DISCONNECTED


def _say_control(facts: dict[str, Any], output: Output) -> None:
    """Say what the site's people decided, if anything."""
    paused = facts["paused"]
    if paused:
        output.say(f"[bold]Paused[/] since {paused['at']}{plain(': ' + paused['reason'] if paused['reason'] else '')}.")
    output.table(
        "Vetoed runs",
        ("Run", "When", "Why"),
        [(run, moment(word["at"]), word["reason"]) for run, word in facts["vetoes"].items()],
    )


def _facts(home: Home) -> dict[str, Any]:
    settings = home.settings()
    control = Control(home).state()
    with closing(Ledger(home.ledger_path)) as ledger:
        left = [asdict(departure) for departure in ledger.departures(10)]
    return {
        "name": settings.name,
        "site": settings.site_name,
        "node": settings.node,
        "portal_address": settings.portal,
        "words": settings.words,
        "enrolled": settings.is_enrolled,
        "agent": read_status(home.status_path),
        "log": Witness(home).memory().told(),
        "paused": asdict(control.paused) if control.paused else None,
        "vetoes": {run: asdict(word) for run, word in control.vetoes.items()},
        "datasets": [{"id": item.id, "name": item.name, "rows_band": item.rows_band} for item in Datasets(home).all()],
        "approvals": _approvals(home),
        "last_replies": left,
    }


def _approvals(home: Home) -> list[dict[str, str]]:
    """Return the statements of this node; a revoked one says so."""
    approvals = Approvals(home)
    revoked = approvals.revocations().statements
    return [
        {
            "statement": item.statement_id,
            "approval": item.portal_id,
            "script": item.script,
            "decision": "revoked" if item.statement_id in revoked else item.decision,
            "not_after": item.not_after,
            "signed_by": signed_by(read_unverified(item.envelope), moment),
        }
        for item in approvals.all()
    ]


def _enrolment(site: str, words: str) -> str:
    return f"of {site}. Six words: {words}" if site else "not enrolled yet."


def _agent_line(now: dict[str, object]) -> str:
    """Say in one line what the agent does."""
    if not now["running"]:
        return "The agent does not run: start it with `fedstudy-node run`."
    if now.get("excluded"):
        return f"The agent runs, and the portal does not let it work: {plain(now['excluded'])}"
    trouble = now.get("fleet_error") or now.get("portal_error") or ""
    line = f"The agent runs. SuperLink: {now.get('fleet')}. Portal: {now.get('portal')}."
    if now.get("node_state") == "pending":
        line += " The site's admin has not confirmed this node in the portal yet."
    return f"{line} {trouble} {warning(int(str(now.get('clock_off_s', 0))))}".strip()


def _sandbox_line(now: dict[str, object]) -> str:
    """Say at which level scripts run, and what the next one needs."""
    if not now.get("sandbox"):
        return "Sandbox: not probed yet; `fedstudy-node sandbox` does it now."
    return plain(f"Sandbox: {now['sandbox']}. {now.get('sandbox_missing') or ''}".strip())
