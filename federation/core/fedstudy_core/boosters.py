"""Boosters as sites send them: XGBoost's JSON in one array of bytes, checked before a strategy reads it.

Flower's bagging takes the fields apart without a look (flwr 1.41): one booster that is not built as it expects would
end the run for all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from fedstudy_core.errors import Refusal

NAME = "0"  # as Flower's XGBoost strategies name it


def check_booster(arrays: Mapping[str, np.ndarray], model: Mapping[str, np.ndarray]) -> None:
    """Refuse what is no booster, or one that does not fit the model so far.

    Raises:
        Refusal: E_UPDATE_NAMES, E_UPDATE_DTYPE, E_UPDATE_SHAPE, E_UPDATE_TREES.
    """
    if list(arrays) != [NAME]:
        raise Refusal("E_UPDATE_NAMES", f"Trees come in one array named “{NAME}”.")
    if arrays[NAME].dtype != np.uint8:
        raise Refusal("E_UPDATE_DTYPE", "Trees come as bytes.")
    if arrays[NAME].ndim != 1:
        raise Refusal("E_UPDATE_SHAPE", "Trees come in an array of one dimension.")
    features = _features(arrays[NAME])
    before = model.get(NAME)
    if before is not None and before.size and _features(before) != features:
        raise Refusal("E_UPDATE_TREES", "The trees have another number of features than the model.")


def _features(array: np.ndarray) -> int:
    """The booster's number of features. Raises Refusal E_UPDATE_TREES unless the array holds a booster with trees."""
    try:
        learner = json.loads(array.tobytes())["learner"]
        model = learner["gradient_booster"]["model"]
        _check_trees(model)
        return int(learner["learner_model_param"]["num_feature"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal("E_UPDATE_TREES", "The update holds no booster in XGBoost's JSON form.") from error


def _check_trees(model: Any) -> None:
    parameters = model["gbtree_model_param"]
    trees, parallel = int(parameters["num_trees"]), int(parameters["num_parallel_tree"])
    whole = all(type(number) is int for number in model["iteration_indptr"])
    held = len(model["trees"]) == trees == len(model["tree_info"]) and all(
        isinstance(tree, dict) for tree in model["trees"]
    )
    if not (1 <= parallel <= trees and held and whole and model["iteration_indptr"]):
        raise ValueError("the counts do not agree with the trees")
