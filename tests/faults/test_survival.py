"""The short version of `make faults` for continuous integration: what dies in a run, and what must hold after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import centre, network, payloads, site  # noqa: F401 - they fill the catalogue
from tests.faults.catalogue import FAULTS, Fault
from tests.faults.theatre import Theatre
from tests.stage import Stage

pytestmark = [pytest.mark.fault, pytest.mark.e2e, pytest.mark.slow]

IN_CI = ("R1-restart", "R8", "R11-requests", "R-stop", "M4")


@pytest.fixture(scope="module")
def theatre(stage: Stage) -> Iterator[Theatre]:
    made = Theatre(stage, rounds=26)
    made.rehearse()
    yield made
    made.settle()


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.id in IN_CI], ids=lambda fault: fault.id)
def test_a_run_survives(theatre: Theatre, fault: Fault) -> None:
    theatre.runs.clear()
    fault.act(theatre, True)
    theatre.settle()
    assert [item for run in theatre.runs for item in theatre.checker.violations(run, theatre.undisturbed)] == []
