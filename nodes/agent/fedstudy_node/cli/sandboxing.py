"""`sandbox`: what this machine's walls around scripts stop, found by attacking them."""

from argparse import Namespace
from dataclasses import asdict

from fedstudy_node.cli.output import Output, plain
from fedstudy_node.home import Home
from fedstudy_node.status import read_status
from fedstudy_node.walls import choose_sandbox


def show(arguments: Namespace, output: Output) -> int:
    """Probe this machine now; print the level, every finding, and what is missing for the levels above.

    It is the level of this account in this shell: a service may have been given control groups that a shell has not.
    """
    home = Home.open(arguments.home)
    report = choose_sandbox(home).report
    agent = read_status(home.status_path).get("sandbox", "")
    output.facts(
        {
            "level": report.level,
            "agent": agent,
            "findings": [asdict(finding) for finding in report.findings],
            "missing": [asdict(item) for item in report.missing],
        }
    )
    output.say(f"This account's scripts run in the sandbox [bold]{report.level}[/].")
    if agent:
        output.say(plain(f"The agent found {agent} when it started."))
    output.table(
        "Attacks",
        ("Attack", "Result", "Stopped by"),
        [(finding.name, "OPEN" if finding.open else "stopped", finding.detail) for finding in report.findings],
    )
    for item in report.missing:
        output.say(plain(item))
    return 0
