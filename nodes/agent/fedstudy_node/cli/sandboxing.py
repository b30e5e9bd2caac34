"""`sandbox`: what this machine's walls around scripts stop, found by attacking them."""

from argparse import Namespace
from dataclasses import asdict

from fedstudy_node.cli.output import Output, plain
from fedstudy_node.home import Home
from fedstudy_node.supervisor import choose_sandbox


def show(arguments: Namespace, output: Output) -> int:
    """Probe this machine now; print the level, every finding, and what is missing for the levels above."""
    report = choose_sandbox(Home.open(arguments.home)).report
    output.facts(
        {
            "level": report.level,
            "findings": [asdict(finding) for finding in report.findings],
            "missing": [asdict(item) for item in report.missing],
        }
    )
    output.say(f"Scripts run in the sandbox [bold]{report.level}[/].")
    output.table(
        "Attacks",
        ("Attack", "Result", "Stopped by"),
        [(finding.name, "OPEN" if finding.open else "stopped", finding.detail) for finding in report.findings],
    )
    for item in report.missing:
        output.say(plain(item))
    return 0
