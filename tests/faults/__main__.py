"""`make faults ARGS="[--short] [--only R5,R7] [--json FILE]"`: make each fault, check what must hold, print a table."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults import centre, network, payloads, site  # noqa: F401 - they fill the catalogue
from tests.faults.catalogue import FAULTS, Fault
from tests.faults.theatre import Missed, Theatre
from tests.stage import set_up_stage

ROUNDS, SHORT_ROUNDS = 120, 30


@dataclass(frozen=True)
class Row:
    """What one fault came to."""

    id: str
    fault: str
    expected: str
    observed: str
    seconds: float
    ok: bool


def main(words: Sequence[str] | None = None) -> int:
    """Make the faults; 1 when any came to something else than expected."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON as well")
    parser.add_argument("--only", default="", help="ids, separated by commas: R5,R7; R6 is all that begin with R6-")
    parser.add_argument("--short", action="store_true", help="the short version, as continuous integration has it")
    arguments = parser.parse_args(words)
    chosen = choose(arguments.only, short=arguments.short)
    rows = play(chosen, short=arguments.short)
    Console().print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0 if all(row.ok for row in rows) else 1


def choose(only: str, *, short: bool) -> list[Fault]:
    """The faults of these ids, or all. Raises SystemExit for an id that there is not."""
    names = [name for name in only.split(",") if name]
    unknown = [name for name in names if not any(_is(fault, name) for fault in FAULTS)]
    if unknown:
        raise SystemExit(f"no such fault: {', '.join(unknown)}; there are {', '.join(fault.id for fault in FAULTS)}")
    return [
        fault for fault in FAULTS if any(_is(fault, name) for name in names) or (not names and fault.short >= short)
    ]


def _is(fault: Fault, name: str) -> bool:
    return fault.id == name or fault.id.startswith(f"{name}-")


def play(chosen: Sequence[Fault], *, short: bool) -> list[Row]:
    """Make the faults one after the other on one stage; those that need none are made while it is set up."""
    say = Console(stderr=True)
    on_stage = [fault for fault in chosen if not fault.alone]
    with ThreadPoolExecutor(1) as beside, ExitStack() as running:
        alone = beside.submit(lambda: [_make(fault, None, say, short=short) for fault in chosen if fault.alone])
        stage = running.enter_context(set_up_stage()) if on_stage else None
        rows = alone.result()
        if stage is not None:
            theatre = Theatre(stage, rounds=SHORT_ROUNDS if short else ROUNDS)
            say.print(f"undisturbed: {theatre.rehearse():.2f} s a round")
            rows += [_make(fault, theatre, say, short=short) for fault in on_stage]
    order = [fault.id for fault in FAULTS]
    return sorted(rows, key=lambda row: order.index(row.id))


def _make(fault: Fault, theatre: Theatre | None, say: Console, *, short: bool) -> Row:
    begun = time.monotonic()
    if theatre is not None:
        theatre.runs.clear()
    observed, ok = _tried(lambda: fault.act(theatre, short))  # type: ignore[arg-type]
    seconds = round(time.monotonic() - begun, 1)
    if theatre is not None:
        for follow_up in (theatre.settle, lambda: _checked(theatre)):  # nothing moves while it is checked
            said, fine = _tried(follow_up)
            observed, ok = f"{observed}; {said}" if said else observed, ok and fine
    say.print(f"{'ok ' if ok else 'NOT'} {fault.id} {fault.name}: {observed} ({seconds:g} s)", markup=False)
    return Row(fault.id, fault.name, fault.expected, observed, seconds, ok)


def _checked(theatre: Theatre) -> None:
    broken = [item for run in theatre.runs for item in theatre.checker.violations(run, theatre.undisturbed)]
    if broken:
        raise Missed("; ".join(broken[:5]))


def _tried(act: Callable[[], str | None]) -> tuple[str, bool]:
    """What an act said, and whether it came to its end; whatever it raises is what was observed."""
    try:
        return act() or "", True
    except Exception as failure:  # noqa: BLE001 - the faults after this one must still be made
        return f"{type(failure).__name__}: {failure}"[:600], False


def table(rows: Sequence[Row]) -> Table:
    """The rows for people."""
    shown = Table("Id", "Fault", "Expected", "Observed", "Seconds", "", title="Faults", title_justify="left")
    for row in rows:
        shown.add_row(row.id, row.fault, row.expected, row.observed, f"{row.seconds:g}", "ok" if row.ok else "NOT OK")
    return shown


if __name__ == "__main__":
    sys.exit(main())
