"""What the federated figures are held against: training on pooled rows, and at each site alone.

Only possible because these rows are public. Adam, learning rate 0.001, batches of 4, 50 epochs: FLamby's
settings. ``train_federated`` is FedAvg or FedProx in this process, for tests and for choosing defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from .heart_disease import task
from .heart_disease.preparation import Moments, Rows, Split, prepare
from .heart_disease.task import Evaluation, Site, Tensors, Training

EPOCHS, BATCH_SIZE, LEARNING_RATE = 50, 4, 0.001


@dataclass(frozen=True)
class Comparison:
    """How one way of training does on every site's test rows, and on all of them in a single ranking."""

    sites: dict[str, Evaluation]
    pooled: Evaluation

    @property
    def mean_accuracy(self) -> float:
        """Plain mean over the sites, FLamby's figure."""
        return float(np.mean([evaluation.accuracy for evaluation in self.sites.values()]))

    @property
    def mean_auc(self) -> float | None:
        """Mean of the sites' AUCs weighted by test rows, FL4E's figure; None where none has both classes."""
        ranked = [(site.auc, site.examples) for site in self.sites.values() if site.auc is not None]
        if not ranked:
            return None
        aucs, weights = zip(*ranked, strict=True)
        return float(np.average(aucs, weights=weights))


def read_splits(paths: Mapping[str, Path]) -> dict[str, Split]:
    """Prepare each centre's CSV."""
    return {centre: prepare(pd.read_csv(path).to_dict("list")) for centre, path in paths.items()}


def make_sites(splits: Mapping[str, Split], normalise: str) -> dict[str, Site]:
    """Normalise every centre by its own train rows (``site``) or by all centres' together (``global``)."""
    moments = moments_of_all(splits) if normalise == task.GLOBAL else None
    return {centre: Site.of(split, moments) for centre, split in splits.items()}


def train_pooled(sites: Mapping[str, Site], *, seed: int, epochs: int = EPOCHS) -> Comparison:
    """Train one model on all train rows together."""
    rows = Tensors(
        torch.cat([site.train.features for site in sites.values()]),
        torch.cat([site.train.labels for site in sites.values()]),
    )
    model = _train_with_adam(rows, seed, epochs)
    return compare(sites, lambda _: model)


def train_local(sites: Mapping[str, Site], *, seed: int, epochs: int = EPOCHS) -> Comparison:
    """Train one model a site, each judged at home."""
    models = {centre: _train_with_adam(site.train, seed, epochs) for centre, site in sites.items()}
    return compare(sites, models.__getitem__)


def train_federated(sites: Mapping[str, Site], *, seed: int, rounds: int, training: Training) -> Comparison:
    """Judge the model of ``federate``."""
    model = federate(sites, seed=seed, rounds=rounds, training=training)
    return compare(sites, lambda _: model)


def federate(sites: Mapping[str, Site], *, seed: int, rounds: int, training: Training) -> nn.Linear:
    """FedAvg, weighted by train rows; FedProx where the training has a proximal weight."""
    model = task.make_model(seed)
    for number in range(1, rounds + 1):
        draw = task.round_seed(seed, number)
        replies = [_train_one_site(model, site.train, training, draw) for site in sites.values()]
        weights = np.array([len(site.train) for site in sites.values()], dtype=np.float64)
        averaged = {
            name: np.average([reply[name] for reply in replies], axis=0, weights=weights).astype(np.float32)
            for name in replies[0]
        }
        task.load_arrays(model, averaged)
    return model


def compare(sites: Mapping[str, Site], model_of: Callable[[str], nn.Linear]) -> Comparison:
    """Judge the model that ``model_of`` gives for each site on that site's test rows."""
    scores = {centre: task.predict(model_of(centre), site.test) for centre, site in sites.items()}
    everything = Tensors(
        torch.cat([site.test.features for site in sites.values()]),
        torch.cat([site.test.labels for site in sites.values()]),
    )
    return Comparison(
        {centre: task.evaluate(scores[centre], site.test) for centre, site in sites.items()},
        task.evaluate(np.concatenate(list(scores.values())), everything),
    )


def moments_of_all(splits: Mapping[str, Split]) -> Moments:
    """What the sites' moments add up to, straight from all train rows."""
    return Moments.of(
        Rows(
            np.concatenate([split.train.features for split in splits.values()]),
            np.concatenate([split.train.labels for split in splits.values()]),
        )
    )


def _train_one_site(
    received: nn.Linear, rows: Tensors, training: Training, seed: int
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    model = task.make_model(0)
    model.load_state_dict(received.state_dict())
    task.train(model, rows, training, seed)
    return {name: weight.numpy() for name, weight in model.state_dict().items()}


def _train_with_adam(rows: Tensors, seed: int, epochs: int) -> nn.Linear:
    model = task.make_model(seed)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(rows), generator=generator), BATCH_SIZE):
            optimiser.zero_grad()
            loss = binary_cross_entropy_with_logits(model(rows.features[batch]), rows.labels[batch])
            torch.autograd.backward(loss)
            optimiser.step()
    return model
