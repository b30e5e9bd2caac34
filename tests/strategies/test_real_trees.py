"""XGBoost's strategies over boosters that XGBoost really grows: the joint model learns what no site knows alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import xgboost as xgb

from fedstudy_core.errors import Refusal
from tests.strategies.builders import Arrays, conduct, contribution

SITES = (1, 2, 3)
ROUNDS = 6
PARAMETERS = {"objective": "binary:logistic", "base_score": 0.5, "max_depth": 3, "eta": 0.3, "nthread": 1}
EMPTY: Arrays = {"0": np.zeros(0, dtype=np.uint8)}


def rows(site: int, count: int = 120) -> xgb.DMatrix:
    """A site's rows: each site sees another third of the first variable, which decides together with the second."""
    draw = np.random.default_rng(site)
    values = draw.uniform(-1, 1, size=(count, 4)).astype(np.float32)
    if site in SITES:
        values[:, 0] = values[:, 0] / 3 + (site - 2) * 2 / 3
    labels = (values[:, 0] + values[:, 1] > 0).astype(np.float32)
    return xgb.DMatrix(values, label=labels)


def packed(booster: xgb.Booster) -> Arrays:
    return {"0": np.frombuffer(booster.save_raw("json"), dtype=np.uint8)}


def opened(model: Arrays) -> xgb.Booster:
    booster = xgb.Booster(PARAMETERS)
    booster.load_model(bytearray(model["0"].tobytes()))
    return booster


def grown(model: Arrays, site: int) -> xgb.Booster:
    """The model after one more round of boosting on the site's rows."""
    if not model["0"].size:
        return xgb.train(PARAMETERS, rows(site), num_boost_round=1)
    booster = opened(model)
    booster.update(rows(site), booster.num_boosted_rounds())
    return booster


def loss(model: Arrays) -> float:
    """The mean log loss on rows like those of all sites together."""
    test = rows(0, 600)
    chances, labels = opened(model).predict(test), test.get_label()
    return float(-np.mean(np.log(np.where(labels > 0.5, chances, 1 - chances))))


def test_the_joined_trees_learn_from_round_to_round_and_add_up() -> None:
    leader, model, losses = conduct("xgb-bagging", sites=3), EMPTY, [np.log(2)]
    for number in range(1, ROUNDS + 1):
        given = [contribution(site, packed(grown(model, site)[number * 3 - 3 :])) for site in SITES]
        for answer in given:
            leader.check(model, {"0": answer.arrays["0"].numpy()}, {})
        model, _ = leader.combine(number, model, {}, given)
        losses.append(loss(model))
    booster = opened(model)
    assert booster.num_boosted_rounds() == ROUNDS * len(SITES)
    assert all(after < before for before, after in pairwise(losses))
    alone = min(loss(packed(xgb.train(PARAMETERS, rows(site), num_boost_round=ROUNDS * 3))) for site in SITES)
    assert losses[-1] < 0.8 * alone
    test = rows(0)
    trees = [booster[index : index + 1].predict(test, output_margin=True) for index in range(ROUNDS * len(SITES))]
    np.testing.assert_allclose(sum(trees), booster.predict(test, output_margin=True), atol=1e-4)


def test_in_turns_the_model_is_the_one_that_travelled() -> None:
    leader, model = conduct("xgb-cyclic", sites=3), EMPTY
    travelled = EMPTY
    for number in range(1, ROUNDS + 1):
        site = SITES[(number - 1) % len(SITES)]
        answer = packed(grown(model, site))
        leader.check(model, answer, {})
        model, _ = leader.combine(number, model, {}, [contribution(site, answer)])
        travelled = packed(grown(travelled, site))
    assert model["0"].tobytes() == travelled["0"].tobytes()
    assert opened(model).num_boosted_rounds() == ROUNDS
    assert loss(model) < 0.5


def test_trees_over_other_variables_are_refused() -> None:
    narrow = xgb.DMatrix(np.zeros((8, 3), dtype=np.float32), label=np.arange(8) % 2)
    other = packed(xgb.train(PARAMETERS, narrow, num_boost_round=1))
    with pytest.raises(Refusal) as refusal:
        conduct("xgb-bagging").check(packed(grown(EMPTY, 1)), other, {})
    assert refusal.value.code == "E_UPDATE_TREES"
