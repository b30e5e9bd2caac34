"""The model, its local training and its evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear

from .preparation import FEATURES, Floats, Groups, Moments, Rows, Split, groups_of, normalise

Arrays = Mapping[str, npt.NDArray[np.generic]]
Metric = int | float | list[int] | list[float]

HISTOGRAM_BINS, SUBGROUP_BINS = 200, 20
SITE, GLOBAL = "site", "global"


@dataclass(frozen=True)
class Training:
    """How to train at a site: mini-batch steps of SGD; ``proximal_mu`` is FedProx's weight."""

    steps: int
    batch_size: int
    learning_rate: float
    proximal_mu: float = 0.0


@dataclass(frozen=True)
class Tensors:
    """Rows as the model takes them: features (rows, 13) and labels (rows, 1), float32."""

    features: Tensor
    labels: Tensor

    @classmethod
    def of(cls, rows: Rows) -> Tensors:
        """These rows, already normalised, as tensors."""
        features = torch.from_numpy(rows.features.astype(np.float32))
        return cls(features, torch.from_numpy(rows.labels.astype(np.float32)).unsqueeze(1))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Site:
    """One site's rows, normalised and ready for the model; ``groups`` are subgroups of the test rows."""

    train: Tensors
    test: Tensors
    groups: Groups = field(default_factory=dict)

    @classmethod
    def of(cls, split: Split, moments: Moments | None) -> Site:
        """Normalised by ``moments``, or by the site's own train rows where there are none."""
        constants = moments or Moments.of(split.train)
        train, test = normalise(split.train, constants), normalise(split.test, constants)
        return cls(Tensors.of(train), Tensors.of(test), groups_of(split.test))


@dataclass(frozen=True)
class Evaluation:
    """How a model does on some rows; ``auc`` is None where they are all of one class.

    ``subgroups`` are counts of the scores in each, by the metric's name.
    """

    examples: int
    accuracy: float
    loss: float
    auc: float | None
    score_positives: list[int]
    score_negatives: list[int]
    subgroups: Mapping[str, list[int]] = field(default_factory=dict)

    def metrics(self) -> dict[str, Metric]:
        """As a Flower MetricRecord takes them; an undefined AUC is left out."""
        ranking: dict[str, Metric] = {} if self.auc is None else {"auc": self.auc}
        return ranking | {
            "num-examples": self.examples,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "score-positives": self.score_positives,
            "score-negatives": self.score_negatives,
            **self.subgroups,
        }


def make_model(seed: int) -> nn.Linear:
    """A fresh logistic regression, the same for the same seed; leaves torch's own random state alone.

    Seeding the processor's generator alone spares the traces that ``torch.manual_seed`` keeps for absent accelerators.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.Linear(len(FEATURES), 1)


def round_seed(seed: int, server_round: int) -> int:
    """The seed of a round's batches, so that a repeated round draws the same ones."""
    return seed * 1_000_003 + server_round


def load_arrays(model: nn.Linear, arrays: Arrays) -> None:
    """Put the weights into the model; raises RuntimeError where names or shapes do not fit."""
    model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})


@torch.no_grad()
def train(
    model: nn.Linear, rows: Tensors, training: Training, seed: int, correction: Mapping[str, Tensor] | None = None
) -> float:
    """Train in place and return the mean loss over the steps.

    The gradient of logistic regression is written out (Bishop, 2006, eq. 4.91): the mean over the batch of
    (probability - label) * features; autograd takes five times as long for it. ``correction`` is what SCAFFOLD adds to
    each step's gradient, by the weight's name (Karimireddy et al., 2020, algorithm 1). The proximal term is
    mu/2 * ||w - w_global||^2 (Li et al., 2020, eq. 2), its gradient mu * (w - w_global).
    """
    anchors = {name: weight.clone() for name, weight in model.named_parameters()}
    weights = dict(model.named_parameters())
    steps: list[tuple[Tensor, Tensor]] = []
    for features, labels in _batches(rows, training, seed):
        logits = linear(features, weights["weight"], weights["bias"])
        errors = torch.sigmoid(logits).sub_(labels).div_(labels.shape[0])
        gradients = {"weight": errors.T @ features, "bias": errors.sum(dim=0)}
        for name, weight in weights.items():
            if training.proximal_mu:
                gradients[name] += training.proximal_mu * (weight - anchors[name])
            if correction:
                gradients[name] += correction[name]
            weight.sub_(gradients[name], alpha=training.learning_rate)
        steps.append((logits, labels))
    return _mean_loss(steps)


def _mean_loss(steps: Sequence[tuple[Tensor, Tensor]]) -> float:
    """The mean over the steps of the mean loss over each one's batch, from logits and labels, in one go."""
    sizes = torch.tensor([labels.shape[0] for _, labels in steps])
    weights = torch.repeat_interleave(1.0 / sizes, sizes).unsqueeze(1)
    logits, labels = (torch.cat(parts) for parts in zip(*steps, strict=True))
    losses = binary_cross_entropy_with_logits(logits, labels, weight=weights, reduction="sum")
    return losses.item() / len(steps)


def predict(model: nn.Linear, rows: Tensors) -> Floats:
    """The probability of disease for every row."""
    with torch.no_grad():
        probabilities: Floats = torch.sigmoid(model(rows.features)).squeeze(1).numpy().astype(np.float64)
    return probabilities


def evaluate(scores: Floats, rows: Tensors, groups: Groups | None = None) -> Evaluation:
    """Judge predicted probabilities at the threshold 0.5 and by their ranking, and count them apart by ``groups``."""
    labels = rows.labels.squeeze(1).numpy() == 1
    positives, negatives = scores[labels], scores[~labels]
    certain = np.clip(scores, 1e-7, 1 - 1e-7)
    return Evaluation(
        examples=len(rows),
        accuracy=float(np.mean((scores > 0.5) == labels)),
        loss=float(-np.mean(np.where(labels, np.log(certain), np.log1p(-certain)))),
        auc=rank_auc(positives, negatives),
        score_positives=_histogram(positives),
        score_negatives=_histogram(negatives),
        subgroups={
            f"score-{name}.{group}": _histogram(scores[inside & chosen], SUBGROUP_BINS)
            for group, inside in (groups or {}).items()
            for name, chosen in (("positives", labels), ("negatives", ~labels))
        },
    )


def rank_auc(positives: Floats, negatives: Floats) -> float | None:
    """The area under the ROC: the share of pairs in which the positive scores higher, ties counting half."""
    if not len(positives) or not len(negatives):
        return None
    ordered = np.sort(negatives)
    below = np.searchsorted(ordered, positives, side="left")
    not_above = np.searchsorted(ordered, positives, side="right")
    return float((below + not_above).sum() / 2 / (len(positives) * len(negatives)))


def _batches(rows: Tensors, training: Training, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The features and labels of one mini-batch a step, in a new order of the rows each time they run out."""
    generator = torch.Generator().manual_seed(seed)
    step = 0
    while True:
        order = torch.randperm(len(rows), generator=generator)
        parts = (torch.split(values[order], training.batch_size) for values in (rows.features, rows.labels))
        for batch in zip(*parts, strict=True):
            if step == training.steps:
                return
            step += 1
            yield batch


def _histogram(scores: Floats, bins: int = HISTOGRAM_BINS) -> list[int]:
    counts, _ = np.histogram(scores, bins=bins, range=(0.0, 1.0))
    return [int(count) for count in counts]
