"""What a node lets itself be asked for, by the level at which its site takes part."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedstudy_node.levels import USUAL, Levels, asked_for
from tests.factories.agent import STUDY, make_node

OTHER = "00000000-0000-4000-8000-00000000000f"


def test_levels_are_kept_by_study_and_outlive_what_the_portal_does_not_list_any_more(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    levels = Levels(node.home)
    assert levels.of(STUDY) == USUAL
    levels.keep([{"study": STUDY, "level": "F0"}, {"study": OTHER, "level": "F9"}])
    assert (levels.of(STUDY), levels.of(OTHER)) == ("F0", USUAL)
    levels.keep([{"study": OTHER, "level": "F1"}])
    assert (Levels(node.home).of(STUDY), Levels(node.home).of(OTHER)) == ("F0", "F1")


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("F0", "testing models"),
        ("F1", "adding to exact sums and testing models"),
        ("F2", "adding to exact sums, training and testing models"),
    ],
)
def test_what_a_level_allows_in_words(level: str, words: str) -> None:
    assert asked_for(level) == words
