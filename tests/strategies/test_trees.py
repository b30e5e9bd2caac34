"""XGBoost's strategies join trees, and nothing that is no booster reaches them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fedstudy_core.errors import Refusal
from tests.strategies.builders import booster, conduct, contribution, leaves_of

EMPTY = {"0": np.zeros(0, dtype=np.uint8)}


def test_bagging_joins_every_sites_new_tree_in_the_sites_order() -> None:
    leader = conduct("xgb-bagging")
    given = [contribution(site, {"0": booster(site / 10)}) for site in (3, 1, 2)]
    model, memory = leader.combine(1, EMPTY, {}, given)
    assert memory == {}
    assert leaves_of(model["0"]) == [0.1, 0.2, 0.3]
    model, _ = leader.combine(2, model, {}, [contribution(1, {"0": booster(0.4)})])
    assert leaves_of(model["0"]) == [0.1, 0.2, 0.3, 0.4]
    held = json.loads(model["0"].tobytes())["learner"]["gradient_booster"]["model"]
    assert [tree["id"] for tree in held["trees"]] == [0, 1, 2, 3]
    assert held["gbtree_model_param"]["num_trees"] == "4"
    leader.check(EMPTY, {"0": model["0"]}, {})


def test_in_turns_the_sites_booster_is_the_model() -> None:
    model, _ = conduct("xgb-cyclic").combine(1, EMPTY, {}, [contribution(2, {"0": booster(0.1, 0.2)})])
    assert leaves_of(model["0"]) == [0.1, 0.2]


def _json(value: object) -> dict[str, np.ndarray]:
    return {"0": np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)}


def _changed(path: str, value: object) -> dict[str, np.ndarray]:
    whole = json.loads(booster(0.1, 0.2).tobytes())
    *folders, name = path.split(".")
    table = whole["learner"]
    for folder in folders:
        table = table[folder]
    table[name] = value
    return _json(whole)


MODEL = "gradient_booster.model"
BAD = {
    "no JSON": ({"0": np.frombuffer(b"\x00\xff{", dtype=np.uint8)}, "E_UPDATE_TREES"),
    "nothing": ({"0": np.zeros(0, dtype=np.uint8)}, "E_UPDATE_TREES"),
    "a list": (_json([1]), "E_UPDATE_TREES"),
    "deep": ({"0": np.frombuffer(b"[" * 100_000, dtype=np.uint8)}, "E_UPDATE_TREES"),
    "no trees": (_changed(f"{MODEL}.trees", []), "E_UPDATE_TREES"),
    "trees that are none": (_changed(f"{MODEL}.trees", [1, 2]), "E_UPDATE_TREES"),
    "other count": (
        _changed(f"{MODEL}.gbtree_model_param", {"num_trees": "9", "num_parallel_tree": "1"}),
        "E_UPDATE_TREES",
    ),
    "more at once": (
        _changed(f"{MODEL}.gbtree_model_param", {"num_trees": "2", "num_parallel_tree": "3"}),
        "E_UPDATE_TREES",
    ),
    "no index": (_changed(f"{MODEL}.iteration_indptr", []), "E_UPDATE_TREES"),
    "text in the index": (_changed(f"{MODEL}.iteration_indptr", ["0", "1", "2"]), "E_UPDATE_TREES"),
    "other features": ({"0": booster(0.1, features=3)}, "E_UPDATE_TREES"),
    "other name": ({"1": booster(0.1)}, "E_UPDATE_NAMES"),
    "two": ({"0": booster(0.1), "1": booster(0.1)}, "E_UPDATE_NAMES"),
    "other type": ({"0": booster(0.1).astype(np.float32)}, "E_UPDATE_DTYPE"),
    "two dimensions": ({"0": booster(0.1)[None]}, "E_UPDATE_SHAPE"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_booster_is_refused(name: str) -> None:
    arrays, code = BAD[name]
    leader = conduct("xgb-bagging")
    leader.check({"0": booster(0.1)}, {"0": booster(0.2)}, {})
    with pytest.raises(Refusal) as refusal:
        leader.check({"0": booster(0.1)}, arrays, {})
    assert refusal.value.code == code
