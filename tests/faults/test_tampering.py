"""Somebody changes one byte in the portal's database: every node refuses, and everybody can see it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from tests.stage import Json, Stage, centres

pytestmark = [pytest.mark.fault, pytest.mark.e2e, pytest.mark.slow]


class Column(NamedTuple):
    """A binary column: how to read it by script version, how to write it by row."""

    select: str
    update: str


BUNDLE = Column(
    "SELECT id, bundle FROM scripts_scriptversion WHERE id = %s",
    "UPDATE scripts_scriptversion SET bundle = %s WHERE id = %s",
)
ENVELOPE = Column(
    "SELECT id, envelope FROM scripts_approval WHERE version_id = %s",
    "UPDATE scripts_approval SET envelope = %s WHERE id = %s",
)


def test_an_altered_script_is_refused_at_every_node(stage: Stage) -> None:
    with _flipped(stage, BUNDLE, b"heart_disease/task.py"):
        run = stage.start_run(label="Altered script")
        ended = stage.wait_for_end(run)
    _assert_refused_everywhere(stage, ended, {"E_BUNDLE"})


def test_an_altered_approval_is_refused_at_every_node(stage: Stage) -> None:
    with _flipped(stage, ENVELOPE, b"payload"):
        run = stage.start_run(label="Altered approvals")
        ended = stage.wait_for_end(run)
    _assert_refused_everywhere(stage, ended, {"E_SIG", "E_ENVELOPE", "E_NO_TRUSTED_SIGNATURE"})


def test_the_untouched_script_runs_again_afterwards(stage: Stage) -> None:
    assert stage.wait_for_end(stage.start_run(rounds=1, label="After tampering"))["state"] == "completed"


def _assert_refused_everywhere(stage: Stage, ended: Json, codes: set[str]) -> None:
    names = {hospital.centre for hospital in stage.cast.hospitals}
    assert ended["state"] == "failed"
    answers = [answer for item in stage.rounds(ended["id"]) for answer in item["sites"]]
    refused = [answer for answer in answers if answer["state"] == "refused"]
    assert centres(refused) == names
    assert {answer["code"] for answer in refused} <= codes
    assert all(answer["receipt"] for answer in refused), "a refusal is signed as well"
    assert not [answer for answer in answers if answer["state"] == "done"]
    told = [event for event in stage.events(ended["id"]) if event["action"] == "runs:site:refused"]
    details = [event["detail"] if isinstance(event["detail"], dict) else json.loads(event["detail"]) for event in told]
    assert {detail["site"] for detail in details} == names
    assert {detail["code"] for detail in details} <= codes


@contextmanager
def _flipped(stage: Stage, what: Column, after: bytes) -> Iterator[None]:
    """One bit flipped in every row of the column that is of the script version, and put back at the end.

    The bit lies some bytes behind the place where `after` first stands.
    """
    with stage.tampered_database() as database:
        rows = database.execute(what.select, [stage.prepared.version]).fetchall()
        originals = [(row[0], bytes(row[1])) for row in rows]
        assert originals
        for row, content in originals:
            altered = bytearray(content)
            altered[content.index(after) + len(after) + 20] ^= 1
            database.execute(what.update, [bytes(altered), row])
    try:
        yield
    finally:
        with stage.tampered_database() as database:
            for row, content in originals:
                database.execute(what.update, [content, row])
