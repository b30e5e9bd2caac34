"""BatchNorm's buffers survive on purpose, and hostile answers move robust strategies little."""

from __future__ import annotations

import numpy as np
import pytest

from federation.strategies.description import Description
from tests.strategies.builders import ARRAY_STRATEGIES, ROBUST, answers, conduct, contribution, network, single

COUNTER = "norm.num_batches_tracked"


@pytest.mark.parametrize("strategy", ARRAY_STRATEGIES, ids=lambda item: item.name)
def test_counters_stay_whole_and_variances_positive(strategy: Description) -> None:
    model, memory = network(), {}
    for number in range(1, 6):
        model, memory = conduct(strategy.name).combine(number, model, memory, answers(8, seed=number))
        assert model[COUNTER].dtype == np.int64
        assert model[COUNTER].shape == ()
        counts = [1000 * number + 100 + site for site in range(1, 9)]
        assert min(counts) <= int(model[COUNTER]) <= max(counts)
        assert (model["norm.running_var"] > 0).all()
    assert not any(COUNTER in name or "running_" in name for name in memory), "nothing is kept of buffers"


@pytest.mark.parametrize("name", ["fedavg", "fedadam", "fedavgm", "fedyogi", "fedadagrad", "qfedavg", "scaffold"])
def test_buffers_are_averaged_by_examples(name: str) -> None:
    given = answers(8)
    model, _ = conduct(name).combine(1, network(), {}, given)
    weights = [item.metrics["num-examples"] for item in given]
    for key in ("norm.running_mean", "norm.running_var"):
        expected = np.average([item.arrays[key].numpy() for item in given], axis=0, weights=weights)
        np.testing.assert_allclose(model[key], expected, rtol=1e-5)
    counts = [int(item.arrays[COUNTER].numpy()) for item in given]
    assert int(model[COUNTER]) == round(float(np.average(counts, weights=weights)))


def test_whole_numbers_at_the_edge_of_their_range_stay_there() -> None:
    edge = np.iinfo(np.int64)
    for value in (edge.max, edge.min):
        given = [contribution(site, {"w": np.ones(1), "n": np.asarray(value)}) for site in (1, 2)]
        model, _ = conduct("fedavg").combine(1, {"w": np.ones(1), "n": np.asarray(0)}, {}, given)
        assert np.sign(int(model["n"])) == np.sign(value)


def test_truth_values_go_by_majority() -> None:
    given = [contribution(site, {"mask": np.asarray([site > 1, False])}) for site in (1, 2, 3)]
    for name in ("fedavg", "median"):
        model, _ = conduct(name).combine(1, {"mask": np.asarray([False, False])}, {}, given)
        assert model["mask"].tolist() == [True, False]


SIZE, HONEST = 200, 9


def _error(name: str, hostile: np.ndarray | None) -> float:
    """How far the round ends from the honest sites' mean change, which counts as 1."""
    draw = np.random.default_rng(11)
    true = np.full(SIZE, 0.1)
    honest = [true + draw.normal(scale=0.05, size=SIZE) for _ in range(HONEST)]
    given = [contribution(site, single(value)) for site, value in enumerate(honest, 1)]
    if hostile is not None:
        given.append(contribution(HONEST + 1, single(hostile)))
    model, _ = conduct(name, sites=HONEST + 1).combine(1, single(np.zeros(SIZE)), {}, given)
    spread = np.linalg.norm(np.mean(honest, axis=0) - true)
    return float(np.linalg.norm(model["w"] - true) / spread)


ATTACKS = {
    "sign flip x10": np.full(SIZE, -1.0),
    "noise 1e6": np.random.default_rng(3).normal(scale=1e6, size=SIZE),
    "largest": np.full(SIZE, 3e38),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("strategy", ROBUST, ids=lambda item: item.name)
def test_a_hostile_site_moves_a_robust_strategy_little(strategy: Description, attack: str) -> None:
    before, after = _error(strategy.name, None), _error(strategy.name, ATTACKS[attack])
    assert after <= 1.5 * before
    assert _error("fedavg", ATTACKS[attack]) > 4


@pytest.mark.parametrize("strategy", ROBUST, ids=lambda item: item.name)
def test_a_hostile_site_moves_no_counter(strategy: Description) -> None:
    hostile = {**network(3), COUNTER: np.asarray(2**62)}
    given = [contribution(site, network(site)) for site in range(1, 9)] + [contribution(9, hostile)]
    model, _ = conduct(strategy.name, sites=9).combine(1, network(), {}, given)
    assert 100 <= int(model[COUNTER]) <= 110
