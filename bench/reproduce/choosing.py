"""How the configuration beyond the tables was chosen: by cross-validation within the train rows of each centre.

Sixteen ways, in this process and by the library script's own code; the least log loss wins. No test row is looked at
here; ways like these had been tried on test rows before the sixteen were listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from federation.library.heart_disease import reference
from federation.library.heart_disease.heart_disease import task
from federation.library.heart_disease.heart_disease.preparation import Split, fill_cholesterol
from federation.library.heart_disease.source import write_centres

FOLDS, REPETITIONS, ROUNDS, SEED = 5, 2, 15, 42
CHOLESTEROL = 240.0
TRAINING = task.Training(steps=100, batch_size=4, learning_rate=0.01)
BIAS = "bias"

Model = Mapping[str, np.ndarray]
Scores = dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class Way:
    """One way of training: whose moments, what of a cholesterol of 0, whose intercept, and whether it is shifted."""

    normalise: str
    cholesterol: float
    local: bool
    recalibrate: bool

    @property
    def words(self) -> tuple[str, str, str, str]:
        """For a table."""
        return (
            self.normalise,
            f"{self.cholesterol:g} mg/dl" if self.cholesterol else "as it is",
            "each site's (FedBN)" if self.local else "shared (FedAvg)",
            "shifted at each site" if self.recalibrate else "as trained",
        )


@dataclass(frozen=True)
class Judged:
    """What cross-validation says of a way: the log loss over all left-out rows, and the accuracy by centre."""

    way: Way
    log_loss: float
    accuracy: Sequence[float]


def judge_all() -> list[Judged]:
    """Every way, the best first."""
    with TemporaryDirectory() as folder:
        splits = reference.read_splits(write_centres(Path(folder)))
    pairs = product(("site", "global"), (0.0, CHOLESTEROL), (False, True))
    found = [judged for choice in pairs for judged in _judge(splits, *choice)]
    return sorted(found, key=lambda judged: judged.log_loss)


def _judge(splits: Mapping[str, Split], normalise: str, cholesterol: float, local: bool) -> list[Judged]:
    """Both ways that differ in nothing but the shift, of the same models."""
    filled = {name: fill_cholesterol(split, cholesterol) for name, split in splits.items()} if cholesterol else splits
    labels: Scores = {name: [] for name in splits}
    scores: dict[bool, Scores] = {shift: {name: [] for name in splits} for shift in (False, True)}
    for repetition in range(REPETITIONS):
        for fold in folds(filled, repetition):
            sites = reference.make_sites(fold, normalise)
            for name, model in train(sites, local=local, seed=SEED + repetition).items():
                labels[name].append(sites[name].test.labels.squeeze(1).numpy())
                for shift in (False, True):
                    if shift:
                        task.recalibrate(model, sites[name].train)
                    scores[shift][name].append(task.predict(model, sites[name].test))
    return [_judged(Way(normalise, cholesterol, local, shift), scores[shift], labels) for shift in (False, True)]


def _judged(way: Way, scores: Scores, labels: Scores) -> Judged:
    risks = {name: np.concatenate(parts) for name, parts in scores.items()}
    ill = {name: np.concatenate(parts) == 1 for name, parts in labels.items()}
    right = np.concatenate([np.where(ill[name], risk, 1 - risk) for name, risk in risks.items()])
    accuracy = [float(np.mean((risk > 0.5) == ill[name])) for name, risk in risks.items()]
    return Judged(way, float(-np.mean(np.log(np.clip(right, 1e-7, 1)))), accuracy)


def folds(splits: Mapping[str, Split], repetition: int) -> Iterator[dict[str, Split]]:
    """Train rows parted in five, by centre and class; each part is left out once and takes the place of test rows."""
    draw = np.random.default_rng(repetition)
    parts = {name: _parts(split.train.labels, draw) for name, split in splits.items()}
    for left_out in range(FOLDS):
        yield {
            name: Split(
                split.train.at(np.flatnonzero(parts[name] != left_out)),
                split.train.at(np.flatnonzero(parts[name] == left_out)),
            )
            for name, split in splits.items()
        }


def _parts(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    parts = np.empty(len(labels), dtype=np.int64)
    for value in np.unique(labels):
        members = draw.permutation(np.flatnonzero(labels == value))
        parts[members] = np.arange(len(members)) % FOLDS
    return parts


def train(sites: Mapping[str, task.Site], *, local: bool, seed: int) -> dict[str, nn.Linear]:
    """FedAvg, or FedBN with the intercept local, as the nodes do it; one model a site."""
    shared = _arrays(task.make_model(seed))
    own = dict.fromkeys(sites, shared)
    weights = np.array([len(site.train) for site in sites.values()], dtype=np.float64)
    for number in range(1, ROUNDS + 1):
        for name, site in sites.items():
            model = _model({**shared, BIAS: own[name][BIAS] if local else shared[BIAS]})
            task.train(model, site.train, TRAINING, task.round_seed(seed, number))
            own[name] = _arrays(model)
        replies = list(own.values())
        shared = {
            key: np.average([reply[key] for reply in replies], axis=0, weights=weights).astype(np.float32)
            for key in shared
        }
    return {name: _model({**shared, BIAS: own[name][BIAS] if local else shared[BIAS]}) for name in sites}


def _arrays(model: nn.Linear) -> dict[str, np.ndarray]:
    return {name: weight.detach().numpy().copy() for name, weight in model.named_parameters()}


def _model(arrays: Model) -> nn.Linear:
    model = task.make_model(0)
    task.load_arrays(model, arrays)
    return model


if __name__ == "__main__":
    torch.set_num_threads(1)
    for judged in judge_all():
        told = " ".join(f"{share:.3f}" for share in judged.accuracy)
        print(f"{judged.log_loss:.4f}  {told}  {', '.join(judged.way.words)}")
