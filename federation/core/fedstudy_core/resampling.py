"""Bootstrap replicates of a test's measures, drawn at the site so that two tests of the same rows can be subtracted.

Which rows a replicate draws follows from a secret of the node and the rows alone: it is the same in every run, so the
replicates of two runs are paired, and nobody who lacks the secret can tell the draws. They come from SHAKE-256 and not
from NumPy's generators, whose draws nobody could rule out from what leaves, and which may change with its versions.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedstudy_core.metrics import MOST_REPLICATES

LEAST_OF_A_CLASS = 5  # rows of each class, for replicates of the area under the curve
_IDENTITY_BYTES = 6
_DOMAIN = b"fedstudy resampling 2: "

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
        values, rows = right.astype(np.float64), len(self.labels)
        return [float(drawn @ values) / rows for drawn in self._of_all()]

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
        is_positive = self.labels[order]

        def area(drawn: Integers) -> float:
            above = np.add.reduceat(drawn * is_positive, starts)
            below = np.add.reduceat(drawn * ~is_positive, starts)
            return float(above @ (np.cumsum(below) - below / 2)) / (positives * negatives)

        return [area(drawn[order]) for drawn in self._of_classes()]

    def _of_all(self) -> Iterator[Integers]:
        yield from self._drawn(b"all ", np.arange(len(self.labels)))

    def _of_classes(self) -> Iterator[Integers]:
        positives = self._drawn(b"positives ", np.flatnonzero(self.labels))
        negatives = self._drawn(b"negatives ", np.flatnonzero(~self.labels))
        return (some + others for some, others in zip(positives, negatives, strict=True))

    def _drawn(self, name: bytes, among: Integers) -> Iterator[Integers]:
        """How often each row is drawn, (rows,) of each replicate: with replacement, as many as there are `among`.

        One replicate is in memory at a time: all of them of a million rows would be gigabytes.
        """
        seed = hmac.digest(self.key, _DOMAIN + name + self.rows, "sha256")
        for number in range(self.times):
            stream = hashlib.shake_256(seed + number.to_bytes(2, "big")).digest(4 * len(among))
            chances = np.frombuffer(stream, dtype="<u4").astype(np.uint64)
            places = ((chances * np.uint64(len(among))) >> np.uint64(32)).astype(np.int64)
            yield np.bincount(among[places], minlength=len(self.labels))
