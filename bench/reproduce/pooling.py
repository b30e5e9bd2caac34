"""The train rows of several centres as one file, as a coordinating centre would hold them.

Possible only because these rows are public. Test rows stay where they are: every way of training is tested at the
four centres.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from federation.library.heart_disease.heart_disease.preparation import COLUMNS, SITE, split_indices


def write_pooled(centres: Mapping[str, Path], target: Path) -> Path:
    """Write the train rows of these centres' files into one, each as it stands, with the column `site`."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for centre, path in centres.items():
            with path.open(encoding="utf-8", newline="") as source:
                rows = list(csv.DictReader(source))
            if writer is None:
                writer = csv.DictWriter(file, [*rows[0], SITE], lineterminator="\n")
                writer.writeheader()
            writer.writerows({**rows[place], SITE: centre} for place in train_positions(path))
    return target


def train_positions(path: Path) -> list[int]:
    """Where a centre's train rows are in its file, from 0: the complete ones that its node trains on."""
    table = pd.read_csv(path)
    complete = np.flatnonzero(table[list(COLUMNS)].notna().all(axis=1))
    train, _ = split_indices((table["num"].to_numpy()[complete] != 0).astype(np.float64))
    return [int(place) for place in complete[train]]
