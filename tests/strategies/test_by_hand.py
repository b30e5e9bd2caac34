"""Small cases computed by hand from the papers, and Flower's own classes on the same answers."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import strategy as flower

from federation.strategies.catalogue import STRATEGIES
from federation.strategies.description import ConfigValue
from federation.strategies.roster import Roster
from fedstudy_core import flower as records
from fedstudy_core.errors import FedStudyError
from tests.strategies.builders import Arrays, conduct, contribution, single


@pytest.fixture(autouse=True)
def no_collections_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's q-FedAvg and Bulyan collect garbage once an array: a minute, among thousands of collected tests."""
    monkeypatch.setattr(gc, "collect", lambda *_: 0)


START = [1.0, -2.0]
SITES = [([2.0, -2.0], 10), ([4.0, -1.0], 30)]
MEAN = np.array([3.5, -1.25])


def one_round(
    name: str, number: int = 1, memory: Arrays | None = None, **parameters: ConfigValue
) -> tuple[np.ndarray, Arrays]:
    given = [contribution(site, single(values), examples) for site, (values, examples) in enumerate(SITES, 1)]
    model, kept = conduct(name, sites=2, **parameters).combine(number, single(START), memory or {}, given)
    return model["w"], kept


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "fedbn"])
def test_averages_count_by_examples(name: str) -> None:
    np.testing.assert_allclose(one_round(name)[0], MEAN)


def test_momentum_adds_up() -> None:
    change = MEAN - START
    model, memory = one_round("fedavgm", server_momentum=0.5, server_learning_rate=2.0)
    np.testing.assert_allclose(model, START + 2 * change)
    again, _ = one_round("fedavgm", 2, memory, server_momentum=0.5, server_learning_rate=2.0)
    np.testing.assert_allclose(again, START + 2 * (change + 0.5 * change))


def test_adams_moments() -> None:
    change = MEAN - START
    first, second = 0.1 * change, 0.01 * change**2
    rate = 0.1 * np.sqrt(1 - 0.99**2) / (1 - 0.9**2)
    model, memory = one_round("fedadam")
    np.testing.assert_allclose(model, START + rate * first / (np.sqrt(second) + 1e-3))
    np.testing.assert_allclose(memory["m_t/w"], first)
    np.testing.assert_allclose(memory["v_t/w"], second)
    first, second = 0.9 * first + 0.1 * change, 0.99 * second + 0.01 * change**2
    rate = 0.1 * np.sqrt(1 - 0.99**3) / (1 - 0.9**3)
    again, _ = one_round("fedadam", 2, memory)
    np.testing.assert_allclose(again, START + rate * first / (np.sqrt(second) + 1e-3))


def test_adam_without_the_correction_is_the_papers() -> None:
    change = MEAN - START
    first, second = 0.1 * change, 0.001 * change**2
    given: dict[str, ConfigValue] = {
        "beta_2": 0.999,
        "tau": 1e-8,
        "server_learning_rate": 0.01,
        "bias_correction": "no",
    }
    model, memory = one_round("fedadam", **given)
    np.testing.assert_allclose(model, START + 0.01 * first / np.sqrt(second), rtol=1e-6)
    first, second = 0.9 * first + 0.1 * change, 0.999 * second + 0.001 * change**2
    again, _ = one_round("fedadam", 2, memory, **given)
    np.testing.assert_allclose(again, START + 0.01 * first / np.sqrt(second), rtol=1e-6)


def test_yogis_second_moment() -> None:
    change = MEAN - START
    second = 0.01 * change**2
    model, memory = one_round("fedyogi")
    np.testing.assert_allclose(model, START + 0.01 * 0.1 * change / (np.sqrt(second) + 1e-3))
    _, memory = one_round("fedyogi", 2, memory)
    np.testing.assert_allclose(memory["v_t/w"], second - 0.01 * change**2 * np.sign(second - change**2))


def test_adagrad_sums_squares() -> None:
    change = MEAN - START
    model, memory = one_round("fedadagrad")
    np.testing.assert_allclose(model, START + 0.1 * change / (np.abs(change) + 1e-3))
    again, _ = one_round("fedadagrad", 2, memory)
    np.testing.assert_allclose(again, START + 0.1 * change / (np.sqrt(2) * np.abs(change) + 1e-3))


def test_adagrad_with_momentum() -> None:
    change = MEAN - START
    model, memory = one_round("fedadagrad", beta_1=0.9)
    np.testing.assert_allclose(model, START + 0.1 * 0.1 * change / (np.abs(change) + 1e-3))
    np.testing.assert_allclose(memory["m_t/w"], 0.1 * change)


def test_fairness_weighs_by_loss() -> None:
    given = [contribution(1, single([2.0]), train_loss=0.25), contribution(2, single([4.0]), train_loss=1.0)]
    model, _ = conduct("qfedavg", q=1.0, client_learning_rate=0.5).combine(1, single([1.0]), {}, given)
    lipschitz = 2.0
    gradients = [lipschitz * (1 - 2), lipschitz * (1 - 4)]
    delta = 0.25 * gradients[0] + 1.0 * gradients[1]
    scale = (gradients[0] ** 2 + lipschitz * 0.25) + (gradients[1] ** 2 + lipschitz * 1.0)
    np.testing.assert_allclose(model["w"], [1 - delta / scale], rtol=1e-8)


def test_without_fairness_sites_count_alike() -> None:
    given = [contribution(1, single([2.0]), 10, train_loss=0.25), contribution(2, single([4.0]), 90, train_loss=1.0)]
    model, _ = conduct("qfedavg", q=0.0).combine(1, single([1.0]), {}, given)
    np.testing.assert_allclose(model["w"], [3.0])


def test_scaffold_keeps_option_two() -> None:
    """c_i+ = c_i - c + (x - y_i) / (K eta_l); c = mean of c_i; x+ = x + eta_g mean(y_i - x)."""
    leader = conduct("scaffold", sites=4, server_learning_rate=0.5)
    given = [contribution(1, single([2.0]), step_sum=0.5), contribution(3, single([4.0]), step_sum=0.25)]
    model, memory = leader.combine(1, single([1.0]), {}, given)
    np.testing.assert_allclose(model["w"], [1 + 0.5 * (1 + 3) / 2])
    np.testing.assert_allclose(memory["1/w"], [-2.0])
    np.testing.assert_allclose(memory["3/w"], [-12.0])
    everyone = (-2.0 - 12.0) / 4
    sent = leader.outgoing("train", 2, single([2.0]), memory, [1, 2, 3])
    corrections = [content["correction"]["w"].numpy().tolist() for content in sent]  # type: ignore[union-attr, index]
    assert corrections == [[everyone + 2], [everyone], [everyone + 12]]
    model, memory = leader.combine(2, single([2.0]), memory, [contribution(1, single([3.0]), step_sum=0.5)])
    np.testing.assert_allclose(memory["1/w"], [-2.0 - everyone - 1 / 0.5])
    np.testing.assert_allclose(memory["3/w"], [-12.0])
    assert "correction" not in leader.outgoing("evaluate", 2, model, memory, [1])[0]


def test_scaffold_may_count_sites_by_their_rows() -> None:
    leader = conduct("scaffold", sites=2, weighting="rows")
    given = [contribution(1, single([2.0]), 10, step_sum=0.5), contribution(2, single([4.0]), 30, step_sum=0.5)]
    model, memory = leader.combine(1, single([1.0]), {}, given)
    np.testing.assert_allclose(model["w"], [1 + (1 * 10 + 3 * 30) / 40])
    np.testing.assert_allclose([memory["1/w"][0], memory["2/w"][0]], [-2.0, -6.0])
    everyone = (-2.0 * 10 - 6.0 * 30) / 40
    sent = leader.outgoing("train", 2, model, memory, [1, 2])
    corrections = [content["correction"]["w"].numpy().tolist() for content in sent]  # type: ignore[union-attr, index]
    assert corrections == [[everyone + 2], [everyone + 6]]


def test_scaffold_finds_the_common_minimum_where_fedavg_drifts() -> None:
    """Two sites, each a parabola of its own; many local steps pull FedAvg away from the minimum of the sum."""
    curves, steps, rate, best = [(1.0, 0.0), (9.0, 1.0)], 10, 0.05, 0.9

    def run(name: str) -> float:
        leader, model, memory = conduct(name, sites=2), single([5.0]), {}
        for number in range(1, 60):
            given = []
            for site, content in enumerate(leader.outgoing("train", number, model, memory, [1, 2]), 1):
                curve, minimum = curves[site - 1]
                correction = content["correction"]["w"].numpy() if "correction" in content else 0.0  # type: ignore[union-attr, index]
                weight = model["w"].copy()
                for _ in range(steps):
                    weight = weight - rate * (curve * (weight - minimum) + correction)
                given.append(contribution(site, {"w": weight}, step_sum=steps * rate))
            model, memory = leader.combine(number, model, memory, given)
        return float(model["w"][0])

    assert run("scaffold") == pytest.approx(best, abs=1e-6)
    assert abs(run("fedavg") - best) > 0.05


FIVE = [[1.0], [2.0], [3.0], [10.0], [-50.0]]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("median", FIVE, 2.0),
        ("trimmed-mean", FIVE, 2.0),
        ("krum", FIVE, 2.0),
        ("multi-krum", [[1.0], [2.0], [3.5], [10.0], [-50.0]], 1.5),
        ("bulyan", [[1.0], [2.0], [3.0], [4.0], [5.0], [40.0], [-50.0]], 3.0),
        ("cyclic", FIVE, -50.0),
    ],
)
def test_robust_rules(name: str, values: list[list[float]], expected: float) -> None:
    given = [contribution(site, single(value)) for site, value in enumerate(values, 1)]
    model, _ = conduct(name).combine(1, single([0.5]), {}, given)
    np.testing.assert_allclose(model["w"], [expected])


def test_two_malicious_sites_are_cut_from_both_ends() -> None:
    given = [contribution(site, single([value])) for site, value in enumerate([1, 2, 3, 90, 91], 1)]
    model, _ = conduct("trimmed-mean", malicious_sites=2).combine(1, single([0]), {}, given)
    np.testing.assert_allclose(model["w"], [3.0])


def test_krum_tells_near_models_apart_however_large_they_are() -> None:
    """Flower's formula loses small differences of large 32-bit models; as differences from the model they stay."""
    values = [1000 + step for step in (0.001, 0.002, 0.003, 0.02, 0.5)]
    given = [contribution(site, single([value] * 50, "float32")) for site, value in enumerate(values, 1)]
    model, _ = conduct("krum").combine(1, single([1000.0] * 50, "float32"), {}, given)
    np.testing.assert_allclose(model["w"], np.float32(1000.002), atol=1e-4)


def test_local_layers_are_named_and_never_shared() -> None:
    leader = conduct("fedbn")
    arrays = {"head.weight": np.zeros(2), "body.weight": np.zeros(3), "overhead.bias": np.zeros(1)}
    assert list(leader.without_local(arrays)) == ["body.weight", "overhead.bias"]
    for phase in ("train", "evaluate"):
        (content,) = leader.outgoing(phase, 1, single([1]), {}, [1])
        assert content["config"]["local-layers"] == ["head.*"]  # type: ignore[index]
    assert list(conduct("fedavg").without_local(arrays)) == list(arrays)
    with pytest.raises(FedStudyError, match="nothing that the sites share"):
        leader.without_local({"head.weight": np.zeros(2)})


RAW = {
    "fedavg": flower.FedAvg,
    "fedprox": lambda: flower.FedProx(proximal_mu=0.01),
    "fedavgm": lambda: flower.FedAvgM(server_momentum=0.9),
    "fedadam": lambda: flower.FedAdam(eta=0.1),
    "fedyogi": lambda: flower.FedYogi(eta=0.01),
    "fedadagrad": lambda: flower.FedAdagrad(eta=0.1),
    "qfedavg": lambda: flower.QFedAvg(client_learning_rate=0.01, train_loss_key="train-loss"),
    "median": flower.FedMedian,
    "trimmed-mean": lambda: flower.FedTrimmedAvg(beta=0.15),
    "krum": lambda: flower.Krum(num_malicious_nodes=1),
    "multi-krum": lambda: flower.MultiKrum(num_malicious_nodes=1, num_nodes_to_select=2),
    "bulyan": lambda: flower.Bulyan(num_malicious_nodes=1),
}


@pytest.mark.parametrize("name", RAW)
def test_ten_rounds_are_those_of_flowers_own_class(name: str) -> None:
    """Trained arrays only: with Flower whole numbers come out as floats, and running variances are stepped by Adam."""
    draw = np.random.default_rng(5)
    # Optimisers work in 64 bits here and in the model's own with Flower, so they are compared in 64.
    dtype = np.float64 if STRATEGIES[name].handling == "step" else np.float32
    model: Arrays = {"w": draw.normal(size=(5, 3)).astype(dtype), "b": draw.normal(size=3).astype(dtype)}
    theirs, mine, memory = RAW[name](), model, {}
    current = ArrayRecord({key: Array(value) for key, value in model.items()})
    for number in range(1, 11):
        steps = [{key: draw.normal(size=value.shape) * 0.1 for key, value in model.items()} for _ in range(9)]
        list(theirs.configure_train(number, current, ConfigRecord(), Roster(range(1, 10))))
        base = {key: value.numpy() for key, value in current.items()}
        current, _ = theirs.aggregate_train(number, [_reply(base, step, site) for site, step in enumerate(steps, 1)])
        given = [
            contribution(site, _moved(mine, step), site, train_loss=site / 10) for site, step in enumerate(steps, 1)
        ]
        mine, memory = conduct(name, sites=9).combine(number, mine, memory, given)
    for key, value in records.arrays_of(current).items():
        assert mine[key].dtype == dtype
        np.testing.assert_allclose(mine[key], value, atol=1e-6, rtol=0)


def _moved(base: Arrays, step: Arrays) -> Arrays:
    return {key: (value + step[key]).astype(value.dtype) for key, value in base.items()}


def _reply(base: Arrays, step: Arrays, site: int) -> Message:
    arrays = ArrayRecord({key: Array(value) for key, value in _moved(base, step).items()})
    metrics = MetricRecord({"num-examples": site, "train-loss": site / 10})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), dst_node_id=1, message_type="train")
