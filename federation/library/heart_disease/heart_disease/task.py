"""The model, its local training and its evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from .preparation import FEATURES, Floats, Groups, Moments, Rows, Split, groups_of, normalise

if TYPE_CHECKING:
    from fedstudy_core.resampling import Resampling

Arrays = Mapping[str, npt.NDArray[np.generic]]
Metric = int | float | list[int] | list[float]

HISTOGRAM_BINS, SUBGROUP_BINS = 200, 20
SHIFT_WITHIN = 1e-9
SITE, GLOBAL = "site", "global"
SGD, ADAM = "sgd", "adam"
INTERCEPT = "intercept"
Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Training:
    """How to train at a site.

    Attributes:
        steps: mini-batches, with no `epochs`; none leave the model as it came.
        proximal_mu: FedProx's weight.
        weight_decay: of the ridge penalty, weight_decay/2 * ||w||^2, as torch's optimizers add it.
        epochs: passes over the rows, in place of `steps`.
    """

    steps: int
    batch_size: int
    learning_rate: float
    proximal_mu: float = 0.0
    weight_decay: float = 0.0
    optimizer: str = SGD
    epochs: int = 0

    def steps_over(self, rows: int) -> int:
        """The mini-batches for so many rows; the last one of a pass may be smaller."""
        return self.epochs * ceil(rows / self.batch_size) if self.epochs else self.steps


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
    """One site's rows, normalised and ready for the model; ``groups`` are subgroups of the test rows.

    ``tested`` names the test rows, as `Split` has it.
    """

    train: Tensors
    test: Tensors
    groups: Groups = field(default_factory=dict)
    tested: bytes = b""

    @classmethod
    def of(cls, split: Split, moments: Moments | None) -> Site:
        """Normalised by ``moments``, or by the site's own train rows where there are none.

        Of pooled rows each site's are then normalised by themselves.
        """
        constants = moments or Moments.of(split.train)
        train, test = normalise(split.train, constants), normalise(split.test, constants)
        for part in split.parts if moments is None else ():
            own = split.train.at(part)
            train.features[part] = normalise(own, Moments.of(own)).features
        return cls(Tensors.of(train), Tensors.of(test), groups_of(split.test), split.tested)


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
    (probability - label) * features; autograd takes many times as long for it. ``correction`` is what SCAFFOLD adds to
    each step's gradient, by the weight's name (Karimireddy et al., 2020, algorithm 1). The proximal term is
    mu/2 * ||w - w_global||^2 (Li et al., 2020, eq. 2), its gradient mu * (w - w_global).

    The intercept is trained as the weight of a feature that is 1 everywhere, which takes half the operations.
    """
    weights = _column(dict(model.named_parameters()))
    anchor, added = weights.clone(), _column(correction) if correction else None
    step = _adam(weights, training.learning_rate) if training.optimizer == ADAM else _descent(weights, training)
    whole = Tensors(torch.cat([rows.features, torch.ones(len(rows), 1)], dim=1), rows.labels)
    steps: list[tuple[Tensor, Tensor]] = []
    for features, labels in _batches(whole, training, seed):
        logits = features @ weights
        gradient = (features.T @ torch.sigmoid(logits).sub_(labels)).div_(labels.shape[0])
        if training.proximal_mu:
            gradient.add_(weights - anchor, alpha=training.proximal_mu)
        if training.weight_decay:
            gradient.add_(weights, alpha=training.weight_decay)
        if added is not None:
            gradient.add_(added)
        step(gradient)
        steps.append((logits, labels))
    model.weight.copy_(weights[:-1].T)
    model.bias.copy_(weights[-1])
    return _mean_loss(steps or [(whole.features @ weights, whole.labels)])


def _column(named: Mapping[str, Tensor]) -> Tensor:
    """The weights of the features, then the intercept (14, 1)."""
    return torch.cat([named["weight"].reshape(-1, 1), named["bias"].reshape(-1, 1)])


def _descent(weights: Tensor, training: Training) -> Step:
    return lambda gradient: weights.sub_(gradient, alpha=training.learning_rate)


def _adam(weights: Tensor, rate: float, betas: tuple[float, float] = (0.9, 0.999)) -> Step:
    """Adam with torch's defaults (Kingma and Ba, 2015, algorithm 1); torch's own takes seconds to import."""
    first, second, taken = torch.zeros_like(weights), torch.zeros_like(weights), 0

    def step(gradient: Tensor) -> Tensor:
        nonlocal taken
        taken += 1
        first.lerp_(gradient, 1 - betas[0])
        second.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        spread = second.sqrt().div_(sqrt(1 - betas[1] ** taken)).add_(1e-8)
        return weights.addcdiv_(first, spread, value=-rate / (1 - betas[0] ** taken))

    return step


def _mean_loss(steps: Sequence[tuple[Tensor, Tensor]]) -> float:
    """The mean over the steps of the mean loss over each one's batch, from logits and labels, in one go."""
    sizes = torch.tensor([labels.shape[0] for _, labels in steps])
    weights = torch.repeat_interleave(1.0 / sizes, sizes).unsqueeze(1)
    logits, labels = (torch.cat(parts) for parts in zip(*steps, strict=True))
    losses = binary_cross_entropy_with_logits(logits, labels, weight=weights, reduction="sum")
    return losses.item() / len(steps)


@torch.no_grad()
def recalibrate(model: nn.Linear, rows: Tensors) -> None:
    """Shift the intercept until the mean predicted risk of these rows is the share of them that is ill.

    Recalibration in the large (Steyerberg, Clinical Prediction Models, 2019, chapter 20), by Newton's method. A patient
    of the mean score, half ill, is added, so that the shift is finite where all rows are of one class.
    """
    logits = model(rows.features).squeeze(1).numpy().astype(np.float64)
    logits, ill = np.append(logits, logits.mean()), float(rows.labels.sum()) + 0.5
    shift, step = 0.0, 1.0
    while abs(step) > SHIFT_WITHIN:
        risks = 1 / (1 + np.exp(-(logits + shift)))
        step = float(np.clip((ill - risks.sum()) / (risks * (1 - risks)).sum(), -1, 1))
        shift += step
    model.bias += shift


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


def replicates(scores: Floats, resampling: Resampling) -> dict[str, Metric]:
    """Accuracy and AUC over test rows that were drawn anew, and whose they are: as metrics."""
    measured: dict[str, Metric] = {
        "replicates-of": resampling.identity,
        "accuracy-replicates": resampling.shares((scores > 0.5) == resampling.labels),
    }
    areas = resampling.areas(scores)
    return measured if areas is None else measured | {"auc-replicates": areas}


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
    step, steps = 0, training.steps_over(len(rows))
    while True:
        order = torch.randperm(len(rows), generator=generator)
        parts = (torch.split(values[order], training.batch_size) for values in (rows.features, rows.labels))
        for batch in zip(*parts, strict=True):
            if step == steps:
                return
            step += 1
            yield batch


def _histogram(scores: Floats, bins: int = HISTOGRAM_BINS) -> list[int]:
    counts, _ = np.histogram(scores, bins=bins, range=(0.0, 1.0))
    return [int(count) for count in counts]
