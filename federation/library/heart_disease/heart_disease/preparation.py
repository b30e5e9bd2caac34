"""FLamby's preparation of the UCI heart disease rows of one centre, done where the rows are.

The order is FLamby's (du Terrail et al., NeurIPS 2022, Fed-Heart-Disease): drop three sparse columns, drop
incomplete rows, make the label binary, split into train and test, encode categories, normalise. The
normalisation comes last and apart: its constants may be the site's own or those of all sites together.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, Sequence[Any]]
Floats = npt.NDArray[np.float64]
Groups = Mapping[str, npt.NDArray[np.bool_]]
Integers = npt.NDArray[np.int64]

TRAIN_FRACTION = 0.66
SPLIT_SEED = 43
SITE = "site"
COLUMNS = ("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "num")
FEATURES = (
    *("age", "sex", "trestbps", "chol", "fbs", "thalach", "exang", "oldpeak"),
    *("cp: atypical angina", "cp: non-anginal", "cp: asymptomatic"),
    *("restecg: st-t abnormality", "restecg: lv hypertrophy"),
)
_NUMBERS = ("age", "trestbps", "chol", "thalach", "oldpeak")
_WORDS = {
    "sex": {"female": 0.0, "male": 1.0},
    "fbs": {"false": 0.0, "true": 1.0},
    "exang": {"false": 0.0, "true": 1.0},
}
_DUMMIES = {
    "cp": ("typical angina", "atypical angina", "non-anginal", "asymptomatic"),
    "restecg": ("normal", "st-t abnormality", "lv hypertrophy"),
}


@dataclass(frozen=True)
class Rows:
    """Features (rows, 13), in the order of ``FEATURES``, and labels (rows,), 1 for disease."""

    features: Floats
    labels: Floats

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, positions: Integers) -> Rows:
        """The rows at these positions."""
        return Rows(self.features[positions], self.labels[positions])


@dataclass(frozen=True)
class Split:
    """One dataset's rows, complete and encoded, not yet normalised.

    ``parts`` are the positions of each site's rows among the train rows where several sites pool theirs; ``tested``
    names the test rows as they were before a run put anything in the place of what they lack.
    """

    train: Rows
    test: Rows
    parts: Sequence[Integers] = ()
    tested: bytes = b""


@dataclass(frozen=True)
class Moments:
    """Count, sums and sums of squares by feature: what adds up over sites to an exact mean and deviation."""

    count: float
    total: Floats
    squares: Floats

    @classmethod
    def of(cls, rows: Rows) -> Moments:
        """The moments of these rows."""
        return cls(float(len(rows)), rows.features.sum(axis=0), np.square(rows.features).sum(axis=0))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Moments:
        """From arrays as ``arrays`` makes them; raises KeyError for a missing one, ValueError for no rows."""
        count = float(np.asarray(arrays["count"], dtype=np.float64).reshape(-1)[0])
        if not count > 0:
            raise ValueError("the moments count no rows, so nothing can be normalised by them")
        total = np.asarray(arrays["sum"], dtype=np.float64)
        return cls(count, total, np.asarray(arrays["sum-of-squares"], dtype=np.float64))

    def arrays(self) -> dict[str, Floats]:
        """As float64 arrays that sites' replies may be summed by."""
        return {"count": np.array([self.count]), "sum": self.total, "sum-of-squares": self.squares}

    def mean(self) -> Floats:
        """Mean by feature."""
        return self.total / self.count

    def deviation(self) -> Floats:
        """Population standard deviation by feature; 1 where a feature never varies, so that it becomes 0."""
        variance = self.squares / self.count - np.square(self.mean())
        # Cancellation leaves about 1e-16 of the square where the truth is 0.
        constant = variance <= 1e-12 * np.maximum(np.square(self.mean()), 1.0)
        return np.sqrt(np.where(constant, 1.0, variance))


def prepare(columns: Columns) -> Split:
    """Prepare the raw rows of one centre; raises ValueError naming what is absent or not coded as agreed.

    ``columns`` holds each column's values in the order of the rows; None and NaN are missing.
    """
    rows = _encode(_complete(columns, COLUMNS))
    train, test = split_indices(rows.labels)
    for_test = rows.at(test)
    return Split(rows.at(train), for_test, tested=_digest(for_test))


def prepare_pooled(columns: Columns) -> Split:
    """Prepare train rows that several sites pooled: all of them train, and none test.

    The column ``site`` says whose row each is. Raises ValueError as `prepare` does.
    """
    complete = _complete(columns, (*COLUMNS, SITE))
    sites = np.array([str(site) for site in complete[SITE]])
    rows = _encode(complete)
    nothing = np.array([], dtype=np.int64)
    return Split(rows, rows.at(nothing), tuple(np.flatnonzero(sites == site) for site in np.unique(sites)))


def _digest(rows: Rows) -> bytes:
    return hashlib.sha256(rows.features.tobytes() + rows.labels.tobytes()).digest()


def _complete(columns: Columns, wanted: Sequence[str]) -> Columns:
    """The wanted columns of the rows that lack none of them."""
    absent = [name for name in wanted if name not in columns]
    if absent:
        raise ValueError(f"the dataset lacks the columns {', '.join(absent)}")
    rows = zip(*(columns[name] for name in wanted), strict=True)
    whole = [row for row in rows if not any(map(_is_missing, row))]
    if not whole:
        raise ValueError("no row of the dataset is complete")
    return dict(zip(wanted, zip(*whole, strict=True), strict=True))


def _encode(complete: Columns) -> Rows:
    labels = (np.array(complete["num"], dtype=np.float64) != 0).astype(np.float64)
    columns = [_column(complete, name) for name in FEATURES[:8]]
    columns += [column for name in _DUMMIES for column in _dummies(complete, name)]
    return Rows(np.column_stack(columns), labels)


def fill_cholesterol(split: Split, value: float) -> Split:
    """The same rows with a cholesterol of 0, which stands for a missing value, replaced by that one (mg/dl)."""
    column = FEATURES.index("chol")

    def filled(rows: Rows) -> Rows:
        features = rows.features.copy()
        features[features[:, column] == 0, column] = value
        return Rows(features, rows.labels)

    return replace(split, train=filled(split.train), test=filled(split.test))


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def normalise(rows: Rows, moments: Moments) -> Rows:
    """The same rows with each feature's mean taken off and divided by its standard deviation."""
    return Rows((rows.features - moments.mean()) / moments.deviation(), rows.labels)


def groups_of(rows: Rows) -> Groups:
    """Which of these rows, not yet normalised, are in which subgroup, by the names that ``pyproject.toml`` declares."""
    age, sex = rows.features[:, FEATURES.index("age")], rows.features[:, FEATURES.index("sex")]
    return {"sex.female": sex == 0, "sex.male": sex == 1, "age.under-55": age < 55, "age.from-55": age >= 55}


def split_indices(labels: Floats) -> tuple[Integers, Integers]:
    """Train and test positions, in order: those that scikit-learn's ``train_test_split`` draws for FLamby.

    Stratified by label where every class has more than two rows. Written out because importing scikit-learn
    would cost a site more time than all its training; a test holds the two together.
    """
    draw = np.random.RandomState(SPLIT_SEED)
    rows = len(labels)
    train_size, test_size = int(np.floor(TRAIN_FRACTION * rows)), int(np.ceil((1 - TRAIN_FRACTION) * rows))
    if train_size == 0:
        raise ValueError("the dataset has too few complete rows to train on")
    classes = [np.flatnonzero(labels == value) for value in np.unique(labels)]
    if len(classes) < 2 or any(len(members) <= 2 for members in classes):
        order = draw.permutation(rows)
        return np.sort(order[test_size : test_size + train_size]), np.sort(order[:test_size])
    counts = np.array([len(members) for members in classes])
    train_counts = _shares(counts, train_size, draw)
    test_counts = _shares(counts - train_counts, test_size, draw)
    train: list[Integers] = []
    test: list[Integers] = []
    for members, to_train, to_test in zip(classes, train_counts, test_counts, strict=True):
        order = members[draw.permutation(len(members))]
        train.append(order[:to_train])
        test.append(order[to_train : to_train + to_test])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def _shares(counts: Integers, size: int, draw: np.random.RandomState) -> Integers:
    """Share ``size`` places in proportion to ``counts``, the largest remainders first and ties by lot."""
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


def _column(columns: Columns, name: str) -> Floats:
    if name in _NUMBERS:
        return np.array(columns[name], dtype=np.float64)
    codes = _WORDS[name]
    return np.array([codes[word] for word in _coded(columns, name, tuple(codes))])


def _dummies(columns: Columns, name: str) -> list[Floats]:
    """One column of 0 and 1 for every category but the first."""
    words = np.array(_coded(columns, name, _DUMMIES[name]))
    return [(words == category).astype(np.float64) for category in _DUMMIES[name][1:]]


def _coded(columns: Columns, name: str, allowed: tuple[str, ...]) -> list[str]:
    """The column's words in lower case; the error names the column and the codes, never a value."""
    words = [str(value).strip().lower() for value in columns[name]]
    if any(word not in allowed for word in words):
        raise ValueError(f"the column {name} holds values other than {', '.join(allowed)}")
    return words
