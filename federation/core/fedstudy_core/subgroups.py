"""Subgroups of a test's rows that a script declares (`[[tool.fedstudy.subgroups]]`), and what of them may be told.

A script counts the scores of each subgroup apart, in fewer bins than those of all rows. Its site signs the names of
these counts with the other metrics'; its node withholds those that would tell of too few patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fedstudy_core.metrics import NEGATIVES, POSITIVES

BINS = 20
LEAST_CELL = 5  # rows with, and rows without
MOST_SUBGROUPS = 8
MOST_VALUES = 12
MOST_TOGETHER = 48

Key = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=20)]
Label = Annotated[str, Field(min_length=1, max_length=60)]


class Value(BaseModel):
    """One value of a subgroup, such as female."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Key
    label: Label


class Subgroup(BaseModel):
    """By what rows are told apart, such as sex, and into which values; a row has one of them or none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Key
    label: Label
    values: Annotated[tuple[Value, ...], Field(min_length=2, max_length=MOST_VALUES)]


Subgroups = Annotated[tuple[Subgroup, ...], Field(max_length=MOST_SUBGROUPS)]


@dataclass(frozen=True)
class Cell:
    """Rows of each class."""

    positives: int
    negatives: int

    @property
    def rows(self) -> int:
        return self.positives + self.negatives

    def __sub__(self, other: Cell) -> Cell:
        return Cell(self.positives - other.positives, self.negatives - other.negatives)

    def is_large(self, min_rows: int) -> bool:
        """Whether it may be told."""
        return min(self.positives, self.negatives) >= LEAST_CELL and self.rows >= min_rows


def names_of(subgroup: str, value: str) -> tuple[str, str]:
    """The metrics with a subgroup's counts: of its positive and of its negative rows."""
    return f"{POSITIVES}.{subgroup}.{value}", f"{NEGATIVES}.{subgroup}.{value}"


def all_names(subgroups: Sequence[Subgroup]) -> Iterator[str]:
    """The metrics with the counts of these subgroups."""
    for subgroup in subgroups:
        for value in subgroup.values:
            yield from names_of(subgroup.name, value.name)


def contradiction(subgroups: Sequence[Subgroup], kinds: Mapping[str, str], bins: Mapping[str, int]) -> str:
    """In what subgroups do not fit the declared metrics; "" when they fit."""
    names = list(all_names(subgroups))
    if len(names) > 2 * MOST_TOGETHER:
        return f"The subgroups have more than {MOST_TOGETHER} values together."
    if len(set(names)) < len(names):
        return "A subgroup, or a value of one, is declared twice."
    if subgroups and not kinds.get(POSITIVES) == kinds.get(NEGATIVES) == "histogram":
        return f"Subgroups need the histograms “{POSITIVES}” and “{NEGATIVES}” among the declared metrics."
    taken = sorted(name for name in names if (kinds.get(name), bins.get(name)) != ("histogram", BINS))
    return f"“{taken[0]}” is the name of a subgroup's counts: a histogram of {BINS} bins." if taken else ""


def tellable(cells: Mapping[str, Cell], whole: Cell, min_rows: int) -> frozenset[str]:
    """The values whose cells may be told beside the counts of all rows.

    A small cell is withheld, and so are further ones, the smallest first, until what is left of all rows is nothing or
    large itself: nobody gets a small cell by subtraction (complementary suppression; Hundepool and others 2012, 4.2).
    """
    kept = {value for value, cell in cells.items() if cell.is_large(min_rows)}
    while kept and not _is_safe(_rest(cells, whole, kept), min_rows, is_all=len(kept) == len(cells)):
        kept.remove(min(sorted(kept), key=lambda value: cells[value].rows))
    return frozenset(kept)


def _rest(cells: Mapping[str, Cell], whole: Cell, kept: set[str]) -> Cell:
    for value in kept:
        whole -= cells[value]
    return whole


def _is_safe(rest: Cell, min_rows: int, *, is_all: bool) -> bool:
    return rest.is_large(min_rows) or (is_all and rest == Cell(0, 0))
