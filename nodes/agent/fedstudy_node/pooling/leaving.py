"""Which rows of a dataset would leave under some terms. Nothing of them is written anywhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedstudy_node import tables
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.home import Home
from fedstudy_node.pooling.actions import Shifting
from fedstudy_node.pooling.deidentify import Deidentified, deidentify
from fedstudy_node.pooling.papers import Papers
from fedstudy_node.pooling.terms import Terms
from fedstudy_node.signing import check_unchanged
from fedstudy_node.studies import dictionary_of


def would_leave(home: Home, dataset: Dataset, terms: Terms, study: Mapping[str, Any]) -> Deidentified:
    """Make the rows of a dataset that may leave; nothing is written.

    Raises:
        Refusal: as `deidentify`.
        NodeError: E_DATASET when the file changed, E_DATASET_FILE.
    """
    check_unchanged(Datasets(home), dataset)
    shifting = Shifting(Papers(home).shift_secret(), dataset.study)
    table = tables.read_arrow(Path(dataset.path), dataset.format)
    return deidentify(table, terms, dictionary_of(study), shifting)
