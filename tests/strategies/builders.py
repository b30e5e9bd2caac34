"""Models, answers and conducts for the strategies' tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from flwr.app import ArrayRecord

from federation.strategies.catalogue import STRATEGIES
from federation.strategies.conduct import Conduct, Contribution
from federation.strategies.description import ConfigValue, Description, Setting
from fedstudy_core import flower as records

Arrays = dict[str, np.ndarray]

DECLARATION = {
    "uses_proximal": True,
    "step_sum": "step-sum",
    "train_loss": "train-loss",
    "local_layers": ["head.*"],
}
ARRAY_STRATEGIES = [item for item in STRATEGIES.values() if item.model == "arrays"]
TREE_STRATEGIES = [item for item in STRATEGIES.values() if item.model == "trees"]
ROBUST = [item for item in STRATEGIES.values() if item.handling == "robust"]


def defaults(strategy: Description) -> dict[str, ConfigValue]:
    return {parameter.name: parameter.default for parameter in strategy.parameters}


def conduct(name: str, *, sites: int = 8, **parameters: ConfigValue) -> Conduct:
    """The strategy with its defaults, changed by `parameters` (underscores for hyphens)."""
    strategy = STRATEGIES[name]
    given = {key.replace("_", "-"): value for key, value in parameters.items()}
    declaration = {**DECLARATION, "model": strategy.model}
    return Conduct(strategy, Setting({**defaults(strategy), **given}, declaration, sites))


def network(seed: int = 0) -> Arrays:
    """A small network with BatchNorm, as PyTorch names its arrays, in an order that is not the alphabet's."""
    draw = np.random.default_rng(seed)
    return {
        "norm.weight": draw.normal(size=3).astype(np.float32),
        "norm.running_mean": draw.normal(size=3).astype(np.float32),
        "norm.running_var": draw.uniform(0.5, 1.5, size=3).astype(np.float32),
        "norm.num_batches_tracked": np.asarray(100 + seed, dtype=np.int64),
        "first.weight": draw.normal(size=(4, 3)).astype(np.float64),
        "first.scale": np.asarray(draw.normal(), dtype=np.float32),
        "body.bias": draw.normal(size=4).astype(np.float16),
    }


def contribution(site: int, arrays: Mapping[str, np.ndarray], examples: int = 10, **metrics: float) -> Contribution:
    record = ArrayRecord({name: records.array(np.asarray(array)) for name, array in arrays.items()})
    found = {"train-loss": 0.5, "step-sum": 0.1, **{key.replace("_", "-"): value for key, value in metrics.items()}}
    return Contribution(site, record, {"num-examples": examples, **found})


def answers(count: int, *, seed: int = 1) -> list[Contribution]:
    """Different models with different numbers of examples and losses."""
    return [
        contribution(site, network(seed * 1000 + site), examples=10 * site, train_loss=0.1 * site)
        for site in range(1, count + 1)
    ]


def single(values: Sequence[float], dtype: str = "float64") -> Arrays:
    return {"w": np.asarray(values, dtype=dtype)}


def booster(*leaves: float, features: int = 2) -> np.ndarray:
    """XGBoost's JSON, as far as Flower and we read it: one tree for each leaf value."""
    model = {
        "gbtree_model_param": {"num_trees": str(len(leaves)), "num_parallel_tree": "1"},
        "iteration_indptr": list(range(len(leaves) + 1)),
        "tree_info": [0] * len(leaves),
        "trees": [{"id": number, "base_weights": [leaf]} for number, leaf in enumerate(leaves)],
    }
    learner = {"learner_model_param": {"num_feature": str(features)}, "gradient_booster": {"model": model}}
    return np.frombuffer(json.dumps({"learner": learner}).encode(), dtype=np.uint8)


def leaves_of(array: np.ndarray) -> list[float]:
    trees = json.loads(array.tobytes())["learner"]["gradient_booster"]["model"]["trees"]
    return [tree["base_weights"][0] for tree in trees]
