"""Metrics of several sites become one, and a histogram of scores tells the curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from fedstudy_core.metrics import combine, roc, with_pooled_auc

BINS = 200


def histogram(scores: np.ndarray) -> list[int]:
    return np.bincount(np.minimum((scores * BINS).astype(int), BINS - 1), minlength=BINS).tolist()


def test_undeclared_metrics_are_averaged_by_examples() -> None:
    sites = [{"num-examples": 10, "accuracy": 0.5}, {"num-examples": 30, "accuracy": 0.9}]
    assert combine(sites, {}) == {"num-examples": 40, "accuracy": pytest.approx(0.8)}


def test_declared_kinds_are_kept() -> None:
    sites = [{"a": 1, "b": 1, "c": 1, "h": [1, 0]}, {"a": 4, "b": 4, "c": 4, "h": [2, 5]}]
    kinds = {"a": "sum", "b": "min", "c": "max", "h": "histogram"}
    assert combine(sites, kinds) == {"a": 5, "b": 1, "c": 4, "h": [3, 5]}


def test_a_site_without_a_metric_does_not_count_for_it() -> None:
    sites = [{"num-examples": 10, "auc": 0.8}, {"num-examples": 90}]
    assert combine(sites, {})["auc"] == pytest.approx(0.8)


@given(st.integers(0, 2**32 - 1))
def test_area_is_that_of_the_pooled_ranking(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, 120)
    labels[:2] = (0, 1)
    scores = np.clip(random.normal(0.35 + 0.3 * labels, 0.2), 0, 1)
    binned = np.minimum((scores * BINS).astype(int), BINS - 1)
    curve = roc(histogram(scores[labels == 1]), histogram(scores[labels == 0]))
    assert curve is not None
    assert curve.auc == pytest.approx(roc_auc_score(labels, binned))
    assert curve.true_positive_rates == sorted(curve.true_positive_rates)
    assert (curve.false_positive_rates[0], curve.false_positive_rates[-1]) == (0.0, 1.0)


def test_one_class_has_no_curve() -> None:
    assert roc([1, 2], [0, 0]) is None
    assert "pooled-auc" not in with_pooled_auc({"score-positives": [1, 2], "score-negatives": [0, 0]})


def test_pooled_area_stands_beside_the_histograms() -> None:
    assert with_pooled_auc({"score-positives": [0, 3], "score-negatives": [2, 0]})["pooled-auc"] == 1.0


def test_a_histogram_of_another_length_is_left_out() -> None:
    sites = [{"h": [1, 0]}, {"h": [1, 1, 1]}, {"h": [2, 5]}]
    assert combine(sites, {"h": "histogram"}) == {"h": [3, 5]}
    assert roc([1, 2], [1]) is None
