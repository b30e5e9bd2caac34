"""Bootstrap replicates of a test's measures, drawn at the site so that two tests of the same rows can be subtracted.

Which rows a replicate draws follows from a secret of the node and the rows alone: it is the same in every run, so the
replicates of two runs are paired, and nobody who lacks the secret can tell the draws. They come from SHAKE-256 and not
from NumPy's generators, whose draws nobody could rule out from what leaves, and which may change with its versions.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fedstudy_core.metrics import MOST_REPLICATES

LEAST_OF_A_CLASS = 5  # rows of each class, for replicates of the area under the curve
_IDENTITY_BYTES = 6
_DOMAIN = b"fedstudy resampling 1: "

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


def resampling_key(secret: bytes, *parts: str) -> bytes:
    """The key of one dataset's draws (32 bytes), from a node's secret and what names the dataset's content."""
    named = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.digest(secret, _DOMAIN + b"key " + named, "sha256")


@dataclass(frozen=True)
class Resampling:
    """How often each of a test's rows is drawn in each replicate.

    Attributes:
        key: of `resampling_key`.
        rows: names the test's rows in their order, such as a digest of them.
        labels: (rows,) true for the positive ones.
        times: how many replicates, 1 to 200.
    """

    key: bytes
    rows: bytes
    labels: Booleans
    times: int

    def __post_init__(self) -> None:
        if not 1 <= self.times <= MOST_REPLICATES or not len(self.labels):
            raise ValueError(f"a test has rows and 1 to {MOST_REPLICATES} replicates")

    @property
    def identity(self) -> int:
        """A number of 48 bits, the same where the draws are: it tells nobody without the key which rows these are."""
        return int.from_bytes(hmac.digest(self.key, _DOMAIN + b"rows " + self.rows, "sha256")[:_IDENTITY_BYTES], "big")

    def shares(self, right: npt.NDArray[np.generic]) -> list[float]:
        """Replicates of the mean of a value of each row, such as whether the model is right; all rows are drawn from.

        Args:
            right: (rows,) numbers or booleans.
        """
        replicates: list[float] = (self._of_all @ right.astype(np.float64) / len(self.labels)).tolist()
        return replicates

    def areas(self, scores: Floats) -> list[float] | None:
        """Replicates of the area under the ROC curve, ties half; each class is drawn from by itself.

        Args:
            scores: (rows,) higher for rows that look positive.

        Returns:
            None where a class has fewer than 5 rows: an interval would promise too much.
        """
        positives = int(self.labels.sum())
        negatives = len(self.labels) - positives
        if min(positives, negatives) < LEAST_OF_A_CLASS:
            return None
        order = np.argsort(scores, kind="stable")
        starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) != 0]))
        drawn = self._of_classes[:, order]
        above = np.add.reduceat(drawn * self.labels[order], starts, axis=1)
        below = np.add.reduceat(drawn * ~self.labels[order], starts, axis=1)
        ranked = np.cumsum(below, axis=1) - below / 2
        replicates: list[float] = ((above * ranked).sum(axis=1) / (positives * negatives)).tolist()
        return replicates

    @cached_property
    def _of_all(self) -> Floats:
        return self._drawn(b"all ", np.arange(len(self.labels)))

    @cached_property
    def _of_classes(self) -> Floats:
        classes = ((b"positives ", self.labels), (b"negatives ", ~self.labels))
        return sum((self._drawn(name, np.flatnonzero(chosen)) for name, chosen in classes), np.zeros(()))

    def _drawn(self, name: bytes, among: Integers) -> Floats:
        """How often each row is drawn (times, rows): with replacement, as many as there are `among`."""
        seed = hmac.digest(self.key, _DOMAIN + name + self.rows, "sha256")
        stream = hashlib.shake_256(seed).digest(4 * self.times * len(among))
        chances = np.frombuffer(stream, dtype="<u4").astype(np.uint64)
        places = ((chances * np.uint64(len(among))) >> np.uint64(32)).astype(np.int64)
        rows = len(self.labels)
        flat = among[places] + np.repeat(np.arange(self.times), len(among)) * rows
        return np.bincount(flat, minlength=self.times * rows).reshape(self.times, rows).astype(np.float64)
