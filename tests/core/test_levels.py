"""What a site may be asked for at each level."""

from __future__ import annotations

import pytest

from federation.runs.roles import PHASES_OF, is_narrower, role_at
from fedstudy_core.levels import PHASES, PHASES_AT, allows, given_up, phases_at


@pytest.mark.parametrize(
    ("level", "phases", "role"),
    [
        ("F0", ["evaluate"], "tests"),
        ("F1", ["query", "evaluate"], "adds"),
        ("F2", ["query", "train", "evaluate"], "trains"),
        ("F3", ["evaluate"], "tests"),
        ("F4", ["evaluate"], "tests"),
    ],
)
def test_a_level_allows_its_phases_and_gives_a_part(level: str, phases: list[str], role: str) -> None:
    assert phases_at(level) == phases
    assert [phase for phase in PHASES if allows(level, phase)] == phases
    assert role_at(level) == role
    assert not is_narrower(role, level)
    assert is_narrower("tests", level) == (role != "tests")


def test_every_level_can_test_and_an_unknown_one_allows_nothing() -> None:
    assert all(allows(level, "evaluate") for level in PHASES_AT)
    assert not any(allows("F9", phase) for phase in PHASES)
    assert not allows("F2", "agent")
    assert set().union(*PHASES_OF.values()) == set(PHASES)


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("F2", "F0", ["query", "train"]),
        ("F2", "F1", ["train"]),
        ("F1", "F0", ["query"]),
        ("F0", "F2", []),
        ("F2", "F3", ["query", "train"]),
        ("F3", "F4", []),
    ],
)
def test_what_a_change_gives_up(old: str, new: str, lost: list[str]) -> None:
    assert given_up(old, new) == lost
