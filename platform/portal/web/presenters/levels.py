"""The degrees of federation that a site chooses from, in words."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from studies.enrolment.pooling import levels_to_choose
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
        gettext_noop("Validation only"),
        gettext_noop("Results of tests of models on your data: counts and scores."),
        gettext_noop("Every row. Your data trains nothing, and nothing is summed up over it."),
    ),
    Level(
        "F1",
        gettext_noop("Aggregate statistics"),
        gettext_noop("Sums and counts over your patients, never a single row, and results of tests of models."),
        gettext_noop("Every row. Your data trains nothing."),
    ),
    Level(
        "F2",
        gettext_noop("Model updates"),
        gettext_noop("The changes that training on your rows makes to the model, and its scores."),
        gettext_noop("Every row. This is federated learning as usual."),
    ),
    Level(
        "F3",
        gettext_noop("De-identified subset"),
        gettext_noop("A de-identified part of your rows for training, encrypted for the pool node."),
        gettext_noop(
            "All other rows. They train nothing at this level: your own node only tests models, so that no row counts"
            " twice."
        ),
    ),
    Level(
        "F4",
        gettext_noop("Whole study dataset"),
        gettext_noop("All rows of your study dataset that models are trained on, encrypted for the pool node."),
        gettext_noop("The rows that models are tested on, by your own node, and everything outside the study."),
    ),
)
BY_CODE = {level.code: level for level in LEVELS}


def level_of(code: str) -> Level:
    """The level by its code; an unknown code is a fault of the caller."""
    known = BY_CODE[code]
    return Level(code, _(known.name), _(known.leaves), _(known.stays))


def offered_levels() -> tuple[Level, ...]:
    """The levels that an invitation may propose, and at which a site may begin."""
    return tuple(level_of(code) for code in OFFERED_LEVELS)


def choosable_levels() -> tuple[Level, ...]:
    """The levels that a site which takes part may choose."""
    return tuple(level_of(code) for code in levels_to_choose())


def level_choices() -> list[tuple[str, str]]:
    """The same, for a form."""
    return [(level.code, f"{level.code} · {level.name}") for level in offered_levels()]
