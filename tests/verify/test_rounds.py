"""What events of runs say of each other: chains of models, and executions after their approvals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fedstudy_core.transparency.leaves import BoundText, Leaf
from fedstudy_verify.verifying import Verdict, verify
from tests.verify.exports import leaf_of, write_export

SIGNED = ("scripts:approval:recorded", "approval", "a", {"statement": "s1"})
DONE = {"site": "Demo Hospital", "state": "done", "approval": "s1"}
Event = tuple[str, str, str, dict[str, Any]]


def committed(number: int, begun: str, made: str, run: str = "r", **more: Any) -> Event:
    facts = {"round": number, "model_in": begun, "model_out": made, **more}
    return "runs:round:committed", "run", run, facts


def verdict(folder: Path, *events: Event, hidden: tuple[int, ...] = ()) -> Verdict:
    """Of an export with these events."""

    def made(number: int) -> Leaf:
        action, kind, name, facts = events[number]
        detail = json.dumps(facts)
        given = {"action": action, "object_type": kind, "object_id": name}
        return Leaf(**{**vars(leaf_of(number)), **given, "detail": BoundText(bytes(16), detail)})

    write_export(folder, len(events), leaf=made, hidden=hidden, envelopes=None)
    return verify(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "export"


def test_rounds_that_follow_from_each_other_hold(folder: Path) -> None:
    rounds = [committed(0, "", "m0"), committed(1, "m0", "m1", sites=[DONE]), committed(2, "m1", "m2", sites=[DONE])]
    found = verdict(folder, SIGNED, *rounds, committed(1, "m2", "n1", run="fork"))
    assert (found.ok, found.problems) == (True, [])
    assert (found.rounds, found.executions, found.approved) == (4, 2, 2)


def test_a_round_with_another_model_is_named(folder: Path) -> None:
    found = verdict(folder, committed(0, "", "m0"), committed(1, "m0", "m1"), committed(2, "m9", "m2"))
    assert found.problems == ["Event 2: round 2 of run r began with another model than 1 made."]
    assert not found.ok


@pytest.mark.parametrize("begun", ["", None])
def test_a_round_that_does_not_say_with_which_model_it_began_is_named(folder: Path, begun: Any) -> None:
    found = verdict(folder, committed(0, "", "m0"), committed(1, begun, "m1"))
    assert found.problems == ["Event 1: round 1 of run r began with another model than 0 made."]


def test_a_round_that_was_committed_twice_is_named(folder: Path) -> None:
    found = verdict(folder, committed(0, "", "m0"), committed(0, "", "m0"))
    assert found.problems == ["Event 1: round 0 of run r was committed before."]


def test_an_execution_before_its_approval_is_named(folder: Path) -> None:
    found = verdict(folder, committed(1, "m0", "m1", sites=[DONE]), SIGNED)
    assert found.problems == ["Event 0: Demo Hospital ran before it approved (event 1)."]


def test_what_is_not_shown_is_not_held_against_anybody(folder: Path) -> None:
    rounds = [committed(0, "", "m0"), committed(1, "m0", "m1"), committed(2, "m1", "m2", sites=[DONE])]
    found = verdict(folder, SIGNED, *rounds, hidden=(0, 2))
    assert (found.ok, found.rounds, found.executions, found.approved) == (True, 2, 1, 0)
