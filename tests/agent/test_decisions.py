"""What people decided at a node: heeded at once, and none lost when several decide at one time."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fedstudy_core import keys
from fedstudy_core.approvers import ApproverKey
from fedstudy_node.approvals import Approvals
from fedstudy_node.control import Control
from fedstudy_node.home import Home
from fedstudy_node.trust import Trust, pinned
from tests.factories.agent import make_node

Decide = Callable[[Home, int], object]
Decided = Callable[[Home], int]


def person(number: int) -> ApproverKey:
    key = keys.public_text(keys.generate().public_key())
    return pinned(kind="console", name=f"Person {number}", role="site admin", key=key)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_node(tmp_path).home


@pytest.mark.parametrize(
    ("decide", "decided"),
    [
        (
            lambda home, number: Approvals(home).revoke(f"{number:064x}", ""),
            lambda home: len(Approvals(home).revocations().statements),
        ),
        (
            lambda home, number: Trust(home).add(person(number)),
            lambda home: sum(entry.name.startswith("Person") for entry in Trust(home).all()),
        ),
        (
            lambda home, number: Control(home).veto(f"00000000-0000-0000-0000-{number:012}", ""),
            lambda home: len(Control(home).state().vetoes),
        ),
    ],
    ids=["revocations", "trust", "vetoes"],
)
def test_of_many_decisions_at_one_time_none_is_lost(home: Home, decide: Decide, decided: Decided) -> None:
    many = 12
    begin = threading.Barrier(many)

    def at_once(number: int) -> None:
        begin.wait()
        decide(home, number)

    deciding = [threading.Thread(target=at_once, args=(number,)) for number in range(many)]
    for thread in deciding:
        thread.start()
    for thread in deciding:
        thread.join()
    assert decided(home) == many


def test_a_revocation_within_a_tick_of_the_clock_is_seen(home: Home) -> None:
    approvals, file = Approvals(home), home.path / "revoked.json"
    approvals.revoke("a" * 64, "")
    before = file.stat()
    assert list(approvals.revocations().statements) == ["a" * 64]
    Approvals(home).revoke("b" * 64, "")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert set(approvals.revocations().statements) == {"a" * 64, "b" * 64}


def test_an_approver_removed_within_a_tick_of_the_clock_is_trusted_no_more(home: Home) -> None:
    trust, file = Trust(home), home.path / "trust.json"
    added = person(1)
    trust.add(added)
    before = file.stat()
    assert added.id in trust.approvers()
    Trust(home).remove(added)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert added.id not in trust.approvers()
