"""The rows that leave are ones that the study's script trains on: node and script draw the same line."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.library import heart_disease as library
from federation.library.heart_disease.heart_disease import preparation
from federation.library.heart_disease.source import write_centres
from fedstudy_core.dictionary import parse
from fedstudy_core.pooling.profile import Anonymity, Condition, Holdout, Keep
from fedstudy_node.holdout import split_indices
from fedstudy_node.pooling.actions import Shifting
from fedstudy_node.pooling.deidentify import deidentify
from fedstudy_node.pooling.rows import training_rows
from fedstudy_node.pooling.terms import Terms
from fedstudy_node.tables import read_arrow

HOLDOUT = Holdout(
    recipe="stratified",
    label=Condition(column="num", op=">", value=0),
    train="0.66",
    seed=43,
    complete=list(preparation.COLUMNS),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=300))
def test_the_split_is_the_library_scripts(labels: list[float]) -> None:
    values = np.array(labels)
    ours = split_indices(values, train=preparation.TRAIN_FRACTION, seed=preparation.SPLIT_SEED)
    for one, other in zip(ours, preparation.split_indices(values), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_row_is_in_one_part_at_most() -> None:
    train, test = split_indices(np.array([0.0, 1.0] * 50), train=0.66, seed=43)
    assert (len(train), len(test)) == (66, 34)
    assert not set(train) & set(test)
    with pytest.raises(ValueError, match="too few"):
        split_indices(np.array([1.0]), train=0.66, seed=43)


def test_four_hospitals_send_the_rows_that_their_scripts_train_on(tmp_path: Path) -> None:
    for centre, path in write_centres(tmp_path).items():
        table = read_arrow(path, "csv")
        split = preparation.prepare(table.to_pydict())
        rows = training_rows(table, HOLDOUT)
        assert len(rows) == len(split.train), centre
        ages = split.train.features[:, preparation.FEATURES.index("age")]
        np.testing.assert_array_equal(rows["age"].to_numpy(), ages)


def test_the_reference_study_can_be_pooled_as_it_is(tmp_path: Path) -> None:
    """All columns that the script reads, kept: what the pool node then holds are the very training rows."""
    variables = json.loads((Path(library.__file__).parent / "dictionary.json").read_text())
    columns = list(preparation.COLUMNS)
    terms = Terms(
        columns, [], dict.fromkeys(columns, Keep(action="keep")), HOLDOUT, Anonymity(least=1, columns=["sex"])
    )
    for centre, path in write_centres(tmp_path).items():
        table = read_arrow(path, "csv")
        made = deidentify(table, terms, parse(variables), Shifting(b"", "")).table
        expected = training_rows(table, HOLDOUT).select(columns)
        assert sorted(map(repr, made.to_pylist())) == sorted(map(repr, expected.to_pylist())), centre
