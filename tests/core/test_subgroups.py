"""Subgroups: what a script declares, and which of their cells may be told."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core import bundle as bundles
from fedstudy_core.bundle import Declaration
from fedstudy_core.errors import Refusal
from fedstudy_core.subgroups import LEAST_CELL, Cell, tellable
from tests.core.builders import FILES, PROJECT, zipped

SUBGROUPS = """
metrics = {score-positives = "histogram", score-negatives = "histogram"}

[[tool.fedstudy.subgroups]]
name = "sex"
label = "Sex"
values = [{name = "female", label = "Female"}, {name = "male", label = "Male"}]
"""
COUNTS = st.integers(0, 30)
CELLS = st.lists(st.builds(Cell, COUNTS, COUNTS), min_size=2, max_size=6)


def declared(subgroups: str) -> Declaration:
    project = PROJECT.replace('initial = "query.initial"', 'initial = "query.initial"\n' + subgroups)
    return bundles.inspect(zipped({**FILES, "pyproject.toml": project.encode()})).declaration


def test_subgroups_are_among_the_metrics_that_a_site_signs() -> None:
    declaration = declared(SUBGROUPS)
    assert declaration.metrics["score-positives.sex.female"] == "histogram"
    assert declaration.outputs.bins["score-negatives.sex.male"] == 20
    assert Declaration.model_validate(declaration.model_dump(mode="json")) == declaration


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('score-negatives = "histogram"', 'loss = "mean"'),
        ("metrics = {", 'metrics = {"score-positives.sex.male" = "mean", '),
        ("metrics = {", 'server = "own"\nmetrics = {'),
        ('label = "Sex"', 'label = ""'),
        (', {name = "male", label = "Male"}', ""),
        ('"female"', '"Fe male"'),
        ('"female"', '"male"'),
        ("\n[[tool", '\n[tool.fedstudy.outputs.bins]\n"score-positives.sex.male" = 200\n\n[[tool'),
    ],
)
def test_subgroups_that_do_not_fit_are_refused(before: str, after: str) -> None:
    assert before in SUBGROUPS
    with pytest.raises(Refusal) as refused:
        declared(SUBGROUPS.replace(before, after, 1))
    assert refused.value.code == "E_BUNDLE_DECLARATION"


def test_no_more_values_than_an_answer_holds() -> None:
    values = ", ".join(f'{{name = "v{number}", label = "V"}}' for number in range(12))
    heads = [f'\n[[tool.fedstudy.subgroups]]\nname = "s{number}"\nlabel = "S"\n' for number in range(5)]
    more = "".join(f"{head}values = [{values}]\n" for head in heads)
    with pytest.raises(Refusal, match="48"):
        declared(SUBGROUPS + more)


@pytest.mark.parametrize(
    ("cells", "missing", "min_rows", "told"),
    [
        ([Cell(9, 25), Cell(39, 31)], Cell(0, 0), 1, {"0", "1"}),
        ([Cell(4, 15), Cell(29, 41)], Cell(0, 0), 1, set()),  # the other one would tell it
        ([Cell(0, 0), Cell(15, 15)], Cell(0, 0), 1, set()),  # that there is none is told by the other one too
        ([Cell(4, 9), Cell(20, 20), Cell(8, 8)], Cell(0, 0), 1, {"1"}),
        ([Cell(4, 9), Cell(1, 9), Cell(20, 20)], Cell(0, 0), 1, {"2"}),
        ([Cell(9, 9), Cell(20, 20)], Cell(1, 0), 1, {"1"}),  # one row without a value
        ([Cell(9, 9), Cell(20, 20)], Cell(6, 6), 1, {"0", "1"}),
        ([Cell(9, 9), Cell(20, 20), Cell(12, 12)], Cell(0, 0), 20, {"1"}),
    ],
)
def test_small_cells_are_withheld(cells: list[Cell], missing: Cell, min_rows: int, told: set[str]) -> None:
    named = {str(position): cell for position, cell in enumerate(cells)}
    assert tellable(named, whole_of([*cells, missing]), min_rows) == told


@given(CELLS, st.builds(Cell, COUNTS, COUNTS), st.integers(1, 40))
def test_nothing_small_follows_from_what_is_told(cells: list[Cell], missing: Cell, min_rows: int) -> None:
    named = {str(position): cell for position, cell in enumerate(cells)}
    whole = whole_of([*cells, missing])
    told = tellable(named, whole, min_rows)
    known = [whole, *(named[value] for value in told)]
    for size in range(len(told) + 1):
        for taken in combinations(known[1:], size):
            rest = whole
            for cell in taken:
                rest -= cell
            nothing_hidden = rest == Cell(0, 0) and len(told) == len(cells)
            large = min(rest.positives, rest.negatives) >= LEAST_CELL and rest.rows >= min_rows
            assert large or nothing_hidden or not told


def whole_of(cells: list[Cell]) -> Cell:
    return Cell(sum(cell.positives for cell in cells), sum(cell.negatives for cell in cells))
