"""More than a thousand approvals that are none: nothing runs, and each is answered with its own code."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fedstudy_core import canonical, dsse
from fedstudy_core.statement import PAYLOAD_TYPE
from fedstudy_node.datasets import Datasets
from fedstudy_node.ledger import Ledger
from tests.factories.agent import approval_key
from tests.security.attempts import all_attempts
from tests.security.hospital import ADMIN, FAB, Attempt, Hospital, named, payload_of, seal
from tests.security.standing import covered

FEWEST = 1_000


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        yield Hospital(tmp_path, ledger)


def approved_ways(hospital: Hospital) -> list[Attempt]:
    """The positive controls: every way in which people of the site may really have signed."""
    good = hospital.node.approve(FAB, rounds=3)
    payload = payload_of(good)
    pair = seal({**payload, "approvers": [ADMIN, named(hospital.steward)]}, approval_key(), hospital.steward_key)
    passkey = canonical.dumps({**payload, "approvers": [named(hospital.passkey.entry)]})
    to_sign = dsse.pre_authentication(PAYLOAD_TYPE, passkey)
    by_passkey = dsse.assemble(PAYLOAD_TYPE, passkey, {hospital.passkey.entry.id: hospital.passkey.sign(to_sign)})

    def ask_for_two(at: Hospital) -> None:
        Datasets(at.home).add(replace(at.node.dataset, people=2))

    return [
        Attempt("on the console", "", good),
        Attempt("by two people, where two are asked for", "", pair, prepare=ask_for_two),
        Attempt("by a passkey", "", by_passkey),
        covered(hospital),
    ]


def test_what_the_site_did_approve_runs(hospital: Hospital) -> None:
    """Without this, a node that refuses everything would pass the test below."""
    assert {way.name: hospital.try_it(way) for way in approved_ways(hospital)} == {
        "on the console": ("", 1),
        "by two people, where two are asked for": ("", 1),
        "by a passkey": ("", 1),
        "covered by a policy": ("", 1),
    }


def test_nothing_runs_that_the_site_did_not_approve(hospital: Hospital, capsys: pytest.CaptureFixture[str]) -> None:
    attempts = all_attempts(hospital)
    answered: Counter[str] = Counter()
    wrong = []
    for attempt in attempts:
        code, started = hospital.try_it(attempt)
        answered[code] += 1
        if (code, started) != (attempt.code, 0):
            wrong.append(f"{attempt.name}: {code or 'ran'} instead of {attempt.code}, {started} started")
    lines = [f"  {count:5d}  {code or 'ran'}" for code, count in answered.most_common()]
    with capsys.disabled():
        sys.stdout.write(
            "\n".join(["", f"{len(attempts)} attempts, {hospital.runs.started} executions; by code:", *lines, ""])
        )
    assert not wrong, "\n".join(wrong)
    assert hospital.runs.started == 0
    assert len(attempts) >= FEWEST
    assert hospital.try_it(approved_ways(hospital)[0]) == ("", 1), "the site's own state was put back"
    assert hospital.ledger.journal.verify().sequence == len(attempts)
