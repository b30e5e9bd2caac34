"""What becomes of a pooled column, in words."""

import pytest

from portal.web.presenters.pooling import action_text


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        (2, "rounded, 2 decimals"),
        (1, "rounded, 1 decimal"),
        (0, "rounded to multiples of 1"),
        (-1, "rounded to multiples of 10"),
    ],
)
def test_rounding_says_to_what(digits: int, words: str) -> None:
    assert action_text({"action": "round", "digits": digits}) == words
