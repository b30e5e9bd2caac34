"""The degrees of federation that a site chooses from, in words."""

from __future__ import annotations

from dataclasses import dataclass

from studies.enrolment.states import OFFERED_LEVELS


@dataclass(frozen=True)
class Level:
    """One participation level; ``leaves`` says what leaves the hospital."""

    code: str
    name: str
    leaves: str
    stays: str


LEVELS: tuple[Level, ...] = (
    Level(
        "F0",
        "Validation only",
        "Results of tests of the finished model on your data: counts and scores.",
        "Your data trains nothing.",
    ),
    Level(
        "F1",
        "Aggregate statistics",
        "Sums and counts over all your patients, never a single row.",
        "Rows and model updates.",
    ),
    Level(
        "F2",
        "Model updates",
        "The changes that training on your rows makes to the model, and its scores.",
        "Every row. This is federated learning as usual.",
    ),
    Level(
        "F3",
        "De-identified subset",
        "A de-identified part of your rows, encrypted for the pool node.",
        "All other rows.",
    ),
    Level(
        "F4",
        "Whole study dataset",
        "All rows of your study dataset, encrypted for the pool node.",
        "Everything outside the study.",
    ),
)
OFFERED = tuple(level for level in LEVELS if level.code in OFFERED_LEVELS)
BY_CODE = {level.code: level for level in LEVELS}


def level_of(code: str) -> Level:
    """The level by its code; an unknown code is a fault of the caller."""
    return BY_CODE[code]
