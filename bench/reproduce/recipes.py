"""What is run: each row of the published tables, with its settings and its figures.

FLamby: du Terrail and others, FLamby, NeurIPS 2022 (accuracy at 0.5, mean of the seeds 42 to 46). FL4E: Pirmani and
others, Accessible Ecosystem for Clinical Research (Federated Learning for Everyone), 2024 (ROC-AUC and accuracy).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

CENTRES = ("Cleveland", "Hungary", "Switzerland", "VA Long Beach")
TEST_ROWS = (104, 89, 16, 45)
MAJORITY = (0.538, 0.629, 0.938, 0.778)
POOL_OF_ALL = "Coordinating centre (all four)"
POOL_OF_TWO = "Coordinating centre (Hungary and Switzerland)"
POOLS: Mapping[str, Sequence[str]] = {POOL_OF_ALL: CENTRES, POOL_OF_TWO: CENTRES[1:3]}
SEEDS = (42, 43, 44, 45, 46)

Setting = int | float | str | bool
Degree = Literal["full", "hybrid", "central", "alone"]


@dataclass(frozen=True)
class Leg:
    """One run, and where its last model is tested: at its own sites, or at others by a fork that trains nothing."""

    sites: Sequence[str]
    config: Mapping[str, Setting]
    strategy: str = "fedavg"
    parameters: Mapping[str, Setting] = field(default_factory=dict)
    rounds: int = 15
    tested_at: Sequence[str] | None = None
    tested_with: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One row.

    Attributes:
        legs: the runs for a seed; together they are tested once at each centre.
        accuracy: published, by centre; of FL4E one figure.
        auc: published by FL4E.
        measure: which AUC it is: the sites' mean weighted by test rows, or one ranking of all test rows.
    """

    source: Literal["flamby", "fl4e", "ours"]
    degree: Degree
    strategy: str
    legs: Callable[[int], Sequence[Leg]]
    accuracy: Sequence[float] = ()
    auc: float | None = None
    measure: Literal["weighted", "ranking", ""] = ""
    note: str = ""

    @property
    def key(self) -> str:
        """What `--only` takes."""
        return f"{self.source}-{self.degree}-{self.strategy}"


def _steps(rate: float, **more: Setting) -> dict[str, Setting]:
    return {"normalise": "site", "batch-size": 4, "local-steps": 100, "learning-rate": rate, **more}


def _flamby(strategy: str, rate: float, parameters: Mapping[str, Setting]) -> Callable[[int], Sequence[Leg]]:
    return lambda seed: [Leg(CENTRES, _steps(rate, seed=seed), strategy, parameters)]


def _adam(seed: int, normalise: str) -> dict[str, Setting]:
    config: dict[str, Setting] = {"optimizer": "adam", "learning-rate": 0.001, "local-epochs": 50, "batch-size": 4}
    return config | {"normalise": normalise, "seed": seed}


def _alone(seed: int) -> Sequence[Leg]:
    return [Leg((centre,), _adam(seed, "site"), rounds=1) for centre in CENTRES]


def _pooled(seed: int) -> Sequence[Leg]:
    config = _adam(seed, "global")
    return [Leg((POOL_OF_ALL,), config, rounds=1, tested_at=CENTRES, tested_with={"normalise": "site"})]


def visits_of_first(seed: int, visits: int = 15, sites: int = 4) -> int:
    """How often FLamby's shuffled cycles come to the first site in so many visits (`Cyclic`, NumPy's generator)."""
    draw = np.random.default_rng(seed)
    order = np.concatenate([draw.permutation(sites) for _ in range(-(-visits // sites))])
    return int((order[:visits] == 0).sum())


def _cyclic_as_published(seed: int) -> Sequence[Leg]:
    config = _steps(0.01, seed=seed)
    return [Leg(CENTRES[:1], config, rounds=visits_of_first(seed), tested_at=CENTRES)]


def _fl4e(seed: int) -> dict[str, Setting]:
    config: dict[str, Setting] = {"local-epochs": 70, "batch-size": 1, "learning-rate": 0.001, "weight-decay": 0.05}
    return config | {"normalise": "site", "seed": seed}


def _fl4e_full(strategy: str, parameters: Mapping[str, Setting]) -> Callable[[int], Sequence[Leg]]:
    return lambda seed: [Leg(CENTRES, _fl4e(seed), strategy, parameters, rounds=10)]


def _fl4e_hybrid(strategy: str, parameters: Mapping[str, Setting]) -> Callable[[int], Sequence[Leg]]:
    sites = (CENTRES[0], POOL_OF_TWO, CENTRES[3])
    return lambda seed: [Leg(sites, _fl4e(seed), strategy, parameters, rounds=10, tested_at=CENTRES)]


def _fl4e_central(seed: int) -> Sequence[Leg]:
    config = _fl4e(seed) | {"optimizer": "adam", "learning-rate": 0.01, "weight-decay": 0.1}
    return [Leg((POOL_OF_ALL,), config, rounds=1, tested_at=CENTRES)]


# Chosen by cross-validation within the train rows: bench/reproduce/choosing.py.
BEYOND: Mapping[str, Setting] = {"normalise": "global", "cholesterol-missing": 240.0, "recalibrate": "intercept"}


def _beyond(seed: int) -> Sequence[Leg]:
    return [Leg(CENTRES, {**BEYOND, "seed": seed}, "fedbn")]


def _cyclic(seed: int) -> Sequence[Leg]:
    return [Leg(CENTRES, _steps(0.01, seed=seed), "cyclic", rounds=4)]


_FEDAVG = (0.731, 0.719, 0.650, 0.640)
_CYCLIC = (0.758, 0.762, 0.713, 0.640)
_ADAM_BETAS: Mapping[str, Setting] = {"beta-1": 0.9, "beta-2": 0.999, "tau": 1e-8}
_FL4E: Mapping[str, Mapping[str, Setting]] = {
    "fedavg": {}, "fedprox": {"proximal-mu": 0.01}, "fedadagrad": {}, "fedyogi": {},
}  # fmt: skip
_FULL = {"fedavg": (0.846, 0.733), "fedprox": (0.846, 0.741), "fedadagrad": (0.841, 0.726), "fedyogi": (0.803, 0.715)}
_HYBRID = {"fedavg": (0.825, 0.740), "fedprox": (0.822, 0.737), "fedadagrad": (0.821, 0.741), "fedyogi": (0.794, 0.710)}

RECIPES: Sequence[Recipe] = (
    Recipe("flamby", "alone", "local", _alone, (0.746, 0.746, 0.725, 0.702)),
    Recipe(
        "flamby", "central", "pooled", _pooled, (0.783, 0.764, 0.750, 0.644),
        note="normalised by the pooled rows to train and by each centre's own to test, as FLamby's code does",
    ),
    Recipe("flamby", "full", "fedavg", _flamby("fedavg", 0.001, {}), _FEDAVG),
    Recipe("flamby", "full", "fedprox", _flamby("fedprox", 0.001, {"proximal-mu": 0.01}), _FEDAVG),
    Recipe(
        "flamby", "full", "scaffold", _flamby("scaffold", 0.001, {"server-learning-rate": 1.0, "weighting": "rows"}),
        (0.727, 0.719, 0.650, 0.640), note="sites count by their rows, as in FLamby's code",
    ),
    Recipe(
        "flamby", "full", "fedadam",
        _flamby("fedadam", 0.01, {**_ADAM_BETAS, "server-learning-rate": 0.01, "bias-correction": "no"}),
        (0.752, 0.746, 0.738, 0.667), note="without bias correction, as in FLamby's code",
    ),
    Recipe(
        "flamby", "full", "fedyogi", _flamby("fedyogi", 0.003162, {**_ADAM_BETAS, "server-learning-rate": 0.01}),
        (0.760, 0.753, 0.738, 0.676),
    ),
    Recipe(
        "flamby", "full", "fedadagrad",
        _flamby("fedadagrad", 0.003162, {"beta-1": 0.9, "tau": 1e-8, "server-learning-rate": 0.316228}),
        (0.760, 0.753, 0.738, 0.676), note="with a momentum of 0.9, as in FLamby's code",
    ),
    Recipe(
        "flamby", "full", "cyclic", _cyclic_as_published, _CYCLIC,
        note="FLamby's code hands no model on: what it tests is Cleveland's, trained there alone",
    ),
    *(
        Recipe("fl4e", "full", name, _fl4e_full(name, _FL4E[name]), (accuracy,), auc, "weighted")
        for name, (auc, accuracy) in _FULL.items()
    ),
    *(
        Recipe("fl4e", "hybrid", name, _fl4e_hybrid(name, _FL4E[name]), (accuracy,), auc, "weighted")
        for name, (auc, accuracy) in _HYBRID.items()
    ),
    Recipe("fl4e", "central", "pooled", _fl4e_central, (0.753,), 0.812, "ranking"),
    Recipe("ours", "full", "cyclic", _cyclic, _CYCLIC, note="the model is handed on, four times round"),
    Recipe("ours", "full", "fedbn", _beyond, note="the configuration of “Beyond the tables”"),
)  # fmt: skip
