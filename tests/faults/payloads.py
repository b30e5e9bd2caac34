"""Faults in what is sent: the suites that make them are tests of their own, which are run here once more."""

from __future__ import annotations

from tests.faults.catalogue import Act, fault
from tests.faults.theatre import Theatre, pytest_passes


def _passes(*nodes: str) -> Act:
    def act(_: Theatre, short: bool) -> str:
        return pytest_passes(*nodes)

    return act


ENTRIES: tuple[tuple[str, str, str, bool, tuple[str, ...]], ...] = (
    ("R15", "poisoned updates", "none accepted, no crash, the round is completed, the page says why", True,
     ("tests/runs/test_poison.py", "-n2")),
    ("R16", "updates that are cut short or altered", "noticed by their hash or form", True,
     ("tests/core/test_records.py", "tests/contract/test_fleet.py", "-n2", "--dist=loadgroup")),
    ("R17", "a body that does not end", "refused while it streams", True, ("tests/portal/test_body_limit.py",)),
    ("R18", "hostile archives", "refused with a code, quickly, in little memory", True,
     ("tests/core/test_archives.py", "tests/core/test_bundle.py")),
    ("R19", "pickles and hostile arrays", "refused; nothing is unpickled", True,
     ("tests/core/test_bundle.py", "tests/core/test_records.py", "tests/test_repository.py", "-n2",
      "--dist=loadgroup")),
    ("R20", "paths in names", "refused", True, ("tests/core/test_bundle.py", "tests/core/test_archives.py")),
    ("R28", "a script out of memory", "ended with E_MEMORY; the next round works", False,
     ("tests/security/test_scripts.py", "-k", "bomb and memor")),
    ("R29", "a script that hangs, forks, floods", "ended at its limit; the next round works", False,
     ("tests/security/test_scripts.py", "-k", "bomb and not memor")),
)  # fmt: skip

for _id, _name, _expected, _short, _nodes in ENTRIES:
    fault(_id, _name, expected=_expected, short=_short, alone=True)(_passes(*_nodes))
