"""Which rows of a dataset are for training and which for testing, so that a script and a node draw the same line."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]


def split_indices(labels: Floats, *, train: float, seed: int) -> tuple[Integers, Integers]:
    """Train and test positions, in order: those that scikit-learn's `train_test_split` draws.

    Stratified by label where every class has more than two rows. Written out because importing scikit-learn
    would cost a site more time than all its training; a test holds the two together.

    Args:
        labels: one for each complete row, shape (rows,).
        train: share of the rows to train on, between 0 and 1.

    Raises:
        ValueError: there are too few rows.
    """
    draw = np.random.RandomState(seed)
    rows = len(labels)
    train_size, test_size = int(np.floor(train * rows)), int(np.ceil((1 - train) * rows))
    if train_size == 0:
        raise ValueError("the dataset has too few complete rows to train on")
    classes = [np.flatnonzero(labels == value) for value in np.unique(labels)]
    if len(classes) < 2 or any(len(members) <= 2 for members in classes):
        order = draw.permutation(rows)
        return np.sort(order[test_size : test_size + train_size]), np.sort(order[:test_size])
    counts = np.array([len(members) for members in classes])
    train_counts = _shares(counts, train_size, draw)
    test_counts = _shares(counts - train_counts, test_size, draw)
    for_train: list[Integers] = []
    for_test: list[Integers] = []
    for members, to_train, to_test in zip(classes, train_counts, test_counts, strict=True):
        order = members[draw.permutation(len(members))]
        for_train.append(order[:to_train])
        for_test.append(order[to_train : to_train + to_test])
    return np.sort(np.concatenate(for_train)), np.sort(np.concatenate(for_test))


def _shares(counts: Integers, size: int, draw: np.random.RandomState) -> Integers:
    """Share `size` places in proportion to `counts`, the largest remainders first and ties by lot."""
    exact = counts / counts.sum() * size
    shares: Integers = np.floor(exact).astype(np.int64)
    remainders = exact - np.floor(exact)
    for remainder in np.unique(remainders)[::-1]:
        places = size - int(shares.sum())
        if places == 0:
            break
        tied = np.flatnonzero(remainders == remainder)
        shares[draw.choice(tied, size=min(len(tied), places), replace=False)] += 1
    return shares
