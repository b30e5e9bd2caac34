"""`review`: what a script asks for, its code, and what changed in it since this site approved it last."""

from argparse import Namespace
from contextlib import closing
from typing import Any

from rich.syntax import Syntax

from fedstudy_core.analysis import Finding, analyse
from fedstudy_core.archives import read_archive
from fedstudy_core.levels import DOES
from fedstudy_core.packages import missing_packages
from fedstudy_core.statement import Statement
from fedstudy_node.cli.output import Output, moment, plain
from fedstudy_node.comparing import changes, last_approved, texts
from fedstudy_node.connecting import open_portal
from fedstudy_node.datasets import Dataset
from fedstudy_node.declared import LEADERS, allowed, sent_back
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.node_config import in_words
from fedstudy_node.offers import Offer, Offers
from fedstudy_node.signatures import signed_by

_LONGEST_SHOWN = 200_000
_SHORT = 8
_LEXERS = {".py": "python", ".toml": "toml", ".md": "markdown", ".json": "json"}


def review(arguments: Namespace, output: Output) -> int:
    """List the scripts that were offered, or show one: what it asks for, its code, what changed."""
    home = Home.open(arguments.home)
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        if arguments.version is None:
            _show_rows(output, Offers(home).current(portal))
            return 0
        offer = Offers(home).fetch(arguments.version, portal)
    output.facts(_facts(offer))
    show_offer(output, home, offer, whole=arguments.whole)
    return 0


def _facts(offer: Offer) -> dict[str, Any]:
    return {
        "version": offer.row["version"],
        "study": offer.row["study"],
        "script": offer.row["script"],
        "number": offer.row["number"],
        "sha256": offer.bundle.sha256,
        "size": offer.bundle.size,
        "files": [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in offer.bundle.files],
        "parameters": [parameter.model_dump(exclude_none=True) for parameter in offer.bundle.parameters],
        "findings": [finding.as_json() for finding in _findings(offer)],
        "missing_packages": list(missing_packages(offer.fab, "client")),
        "declaration": offer.bundle.declaration.model_dump(mode="json"),
        "approval": offer.row.get("approval"),
    }


def _findings(offer: Offer) -> list[Finding]:
    return analyse(read_archive(offer.fab))


def _show_rows(output: Output, rows: list[dict[str, Any]]) -> None:
    output.facts(rows)
    output.table(
        "Scripts offered to this site",
        ("Version", "Script", "SHA-256", "Submitted", "Answer of this site"),
        [
            (
                str(row["version"])[:_SHORT],
                f"{row['script']} {row['number']} for “{row['study_title']}”",
                str(row["sha256"])[:12],
                moment(str(row["submitted_at"])),
                "signed" if row.get("approval") else "-",
            )
            for row in rows
        ],
    )


def show_offer(output: Output, home: Home, offer: Offer, *, whole: bool = False) -> None:
    """Show what a person needs to decide: parameters, findings, then the code, or what changed in it.

    Args:
        whole: show all of the code though an earlier version was approved here.
    """
    if output.as_json:
        return
    output.say(f"[bold]{plain(offer.title)}[/]", f"SHA-256 {offer.bundle.sha256}, {offer.bundle.size} bytes")
    missing = missing_packages(offer.fab, "client")
    if missing:
        output.say(
            f"This node lacks {plain(', '.join(missing))}: until it is installed, the script is refused (E_DEPENDENCY)."
        )
    output.table(
        "What a run may set",
        ("Parameter", "Default", "May be", "Meaning"),
        [
            (item.name, item.default, f"{allowed(item)} {item.unit}", item.description)
            for item in offer.bundle.parameters
        ],
    )
    output.table("What it says that it sends back", ("Answer to", "Holds", "Of the form"), sent_back(offer.bundle))
    output.table(
        "What to look at first; it points and does not judge, and what holds the script is the sandbox",
        ("Risk", "Where", "What"),
        [(item.risk.value, f"{item.path}:{item.line}", item.detail) for item in _findings(offer)],
    )
    before = None if whole else last_approved(home, offer)
    if before is None:
        for path, text in texts(offer.fab).items():
            lexer = next((name for end, name in _LEXERS.items() if path.endswith(end)), "text")
            _show_file(output, path, text, lexer)
        return
    for path, lines in changes(texts(before.fab), texts(offer.fab)).items():
        _show_file(output, path, "\n".join(lines), "diff")
    output.say(
        "",
        f"Only what changed since {plain(before.signed.script)}, which was approved here, is shown. All of it:",
        f"  [bold]fedstudy-node review {offer.version[:_SHORT]} --whole[/]",
    )


def _show_file(output: Output, path: str, text: str, lexer: str) -> None:
    if text:
        output.say("", f"[bold]{plain(path)}[/]", Syntax(text[:_LONGEST_SHOWN], lexer, theme="ansi_dark"))


def show_statement(output: Output, statement: Statement, dataset: Dataset) -> None:
    output.table(
        "What you sign",
        ("", ""),
        [
            ("Dataset", f"{dataset.name} ({dataset.rows_band} rows, {dataset.fingerprint[:12]})"),
            ("Given to the script beside it", in_words(dataset.config) or "nothing"),
            ("Who leads the rounds", LEADERS[statement.server]),
            ("Rounds of a run", f"at most {statement.rounds}"),
            ("Sites in a run", f"at least {statement.privacy.min_sites}"),
            ("Rows behind an answer", f"at least {statement.privacy.min_rows}"),
            ("Work on one message", f"at most {statement.limits.wall_s} s, {statement.limits.memory_mb} MiB"),
            ("May be asked for", " and ".join(DOES[phase] for phase in statement.outputs.phases)),
            ("Leaves the site", _leaves(statement)),
            ("Sandbox", f"{statement.sandbox_min} or stronger"),
            ("Written", moment(statement.issued_at)),
            ("Good until", moment(statement.not_after)),
            ("Signed by", signed_by(statement, moment)),
        ],
    )


def _leaves(statement: Statement) -> str:
    """Say what may leave the site under a statement."""
    outputs = statement.outputs
    metrics = "any metrics" if outputs.metrics is None else f"the metrics {', '.join(outputs.metrics)}"
    bound = "" if outputs.max_norm is None else f", updates of norm {outputs.max_norm} at most"
    return f"arrays and {metrics}; at most {outputs.max_bytes} bytes a reply{bound}"
