"""`fedstudy-verify`: verifies an export of the log, or a run's dossier. Exit code 0 when all of it holds, else 1."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from fedstudy_verify.dossier import DossierVerdict, is_dossier, verify_dossier
from fedstudy_verify.verifying import Trust, Verdict, verify


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="fedstudy-verify",
        description="Verify an export of a FedStudy log: every row, the tree over them, and its signatures. Or a run's "
        "dossier: every file, what signs them, and its export of the log.",
    )
    parser.add_argument("export", type=Path, help="the zip file that the portal gave, or a folder with its files")
    parser.add_argument("--key", default="", help="the log's key as you know it (name+id+key)")
    parser.add_argument("--witness", action="append", default=[], help="a witness's key as you know it; any number")
    parser.add_argument("--quorum", type=int, default=0, help="how many of them must have signed; else all")
    parser.add_argument("--strict", action="store_true", help="take nothing of which a part could not be checked")
    parser.add_argument("--json", action="store_true", help="say what came out as JSON")
    options = parser.parse_args()
    try:
        trust = Trust(options.key, options.witness, options.quorum)
    except ValueError as error:
        parser.error(f"{error} (--witness, --quorum)")
    verdict = verify_dossier(options.export, trust) if is_dossier(options.export) else verify(options.export, trust)
    if options.strict and "not checked" in verdict.checks.values():
        verdict.ok = False
        verdict.problems += ["Not all of the signed documents could be checked.", *verdict.unchecked]
    sys.stdout.write(json.dumps(asdict(verdict)) + "\n" if options.json else as_text(verdict))
    sys.exit(0 if verdict.ok else 1)


_SUBJECTS = {
    "approvals": "sites' decisions: the signatures of {checked} of {shown}",
    "receipts": "nodes' receipts: the signatures of {checked} of {shown}",
    "tables": "rounds, approvals, consents of the dossier: {checked} of {shown} are as the log tells and sites signed",
    "executions": "executions: what the site approved, by script, dataset, node and time, {checked} of {shown}",
}


def _documents(verdict: Verdict) -> list[str]:
    """What was found of the signed documents, and what was not looked at."""
    counts = {name: (verdict.checked[name], count) for name, count in verdict.shown.items() if count}
    said = [
        f"{verdict.checks[name]}: {_SUBJECTS[name].format(checked=checked, shown=shown)}."
        for name, (checked, shown) in counts.items()
    ]
    return said + [f"not checked: {why}" for why in verdict.unchecked]


def as_text(verdict: Verdict) -> str:
    """The verdict in words."""
    what = "dossier" if isinstance(verdict, DossierVerdict) else "export"
    if not verdict.ok:
        return "".join(f"{problem}\n" for problem in verdict.problems) + f"This {what} does NOT hold.\n"
    origin = verdict.key.partition("+")[0]
    by = ", by keys that the export names" if verdict.witnesses and verdict.witnesses_from == "export" else ""
    lines = [
        f"{verdict.events} events hold: each is in the log of {verdict.size} that {origin} signed.",
        f"{verdict.hidden} further events are in the log and not in this export.",
        f"{verdict.checkpoints} checkpoints follow from each other. "
        f"Witnesses who cosigned{by}: {', '.join(verdict.witnesses) or 'none'}.",
    ]
    if verdict.rounds:
        lines.append(
            f"{verdict.rounds} rounds follow from each other by their models; "
            f"of {verdict.executions} executions at sites {verdict.approved} follow an approval that is shown."
        )
    lines += _documents(verdict)
    if verdict.quorum:
        lines.append(f"{verdict.quorum} of them cosigned the first {verdict.witnessed} events, as the quorum asks.")
    if isinstance(verdict, DossierVerdict):
        lines.insert(0, f"All {verdict.files} files of the dossier are as event {verdict.entry} of the log binds them.")
    if verdict.key_from == "export":
        lines.append(f"Compare the log's key with the one you know, or give that by --key: {verdict.key}")
    return "\n".join([*lines, "", *_meaning(verdict)]) + "\n"


def _meaning(verdict: Verdict) -> list[str]:
    """For who is no engineer: what it proves that all of this holds, and what it does not."""
    others = f"the {verdict.hidden} that are not shown have their places" if verdict.hidden else "none is left out"
    proved = f"What this proves: the {verdict.events} events shown are as the log signed them. "
    proved += f"None was altered, moved or put in since, and {others}."
    if verdict.key_from == "export":
        proved += " That holds if the log's key is the one you know."
    if isinstance(verdict, DossierVerdict):
        proved += f" The dossier's {verdict.files} files are those that the portal put together."
    if verdict.witnessed and verdict.witnesses_from == "given":
        proved += f" The witnesses whose keys you gave saw the same first {verdict.witnessed} events."
    missing = ["that what the events tell was true when it was written", "that all that happened was written down"]
    if verdict.hidden:
        missing.append(f"what the {verdict.hidden} events say that are not shown")
    missing.append("what happened since the log last signed")
    if not verdict.witnessed or verdict.witnesses_from == "export":
        missing.append("that the log showed others the same (give witnesses' keys by --witness)")
    if "not checked" in verdict.checks.values():
        missing.append("the signatures that were not checked")
    return [proved, f"What it does not prove: {'; '.join(missing)}."]
