"""The attacks that a sandbox must stop, run inside it: `python -m fedstudy_core.sandbox.probes PLAN [NAME ...]`.

What is attacked is read from standard input (a command line could be seen by the probes themselves). Each probe tries
one thing and leaves no trace. Standard output is one JSON object: the findings by name, and under `must` what fails of
the things that every script has to be able to do.
"""

import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedstudy_core.sandbox.attacks import bounds, files, kernel, network, processes
from fedstudy_core.sandbox.confining import confine, read_plan
from fedstudy_core.sandbox.system import Denied, Probe, Targets, in_child, read

PROBES: dict[str, Probe] = {
    probe.__name__.rstrip("_"): probe for module in (files, network, processes, kernel, bounds) for probe in module.ALL
}


def must_work(targets: Targets) -> str:
    """Return what fails of the things that every script needs; empty when all work."""
    try:
        own = Path(targets["scratch"], "own")
        own.write_text("rows")
        own.unlink()
        if targets.get("dataset"):
            read(targets["dataset"])
        read(targets["script"])
        one, other = socket.socketpair()
        one.close()
        other.close()
        return "" if in_child(lambda: None) == 0 else "no process can be started"
    except OSError as error:
        return f"{error}"


def run_probes(targets: Targets, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Run probes in the order of `PROBES`; say of each whether it worked, and what stopped it."""
    findings = {}
    for name in (known for known in PROBES if known in names):
        try:
            PROBES[name](targets)
        except (OSError, Denied, ValueError, MemoryError) as error:
            findings[name] = {"open": False, "detail": _reason(error)}
        else:
            findings[name] = {"open": True, "detail": ""}
    return findings


def _reason(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) else str(error)
    return words or type(error).__name__


def main() -> None:
    """Confine this process as the agent would a script's, then attack."""
    confine(read_plan(sys.argv[1]))
    targets = json.load(sys.stdin)
    must = must_work(targets)
    json.dump({"must": must, "findings": run_probes(targets, sys.argv[2:] or list(PROBES))}, sys.stdout)


if __name__ == "__main__":
    main()
