"""The demo's figures from what the API says of the last rounds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from devstack.demo.figures import Figures, SiteFigures, from_json, of_last_round, ranking_auc


def _answers(site: str, train_rows: int, scores: tuple[list[int], list[int]], accuracy: float, **auc: float) -> Any:
    positives, negatives = scores
    metrics = {
        "num-examples": sum(positives) + sum(negatives),
        "accuracy": accuracy,
        "score-positives": positives,
        "score-negatives": negatives,
        **auc,
    }
    return [
        {"site": site, "phase": "train", "state": "done", "examples": train_rows, "metrics": {}},
        {"site": site, "phase": "evaluate", "state": "done", "examples": None, "metrics": metrics},
    ]


def test_pooled_auc_ranks_all_rows_and_means_are_weighted() -> None:
    first = _answers("A", 20, ([0, 1, 3], [2, 2, 0]), 0.75, auc=0.9375)
    second = _answers("B", 10, ([0, 0, 2], [0, 0, 0]), 1.0)
    figures = of_last_round({"sites": first + second})
    assert figures.sites["B"].auc is None
    assert figures.sites["A"].train_rows == 20
    assert figures.accuracy == pytest.approx((8 * 0.75 + 2 * 1.0) / 10)
    assert figures.mean_accuracy == pytest.approx(0.875)
    assert figures.mean_auc == pytest.approx(0.9375)
    assert figures.weighted_auc == pytest.approx(0.9375)
    assert figures.auc == pytest.approx((5 * 4 + 1 * (2 + 1)) / 24)
    assert from_json(figures.as_json()) == figures


def test_means_of_sites_count_every_site_the_same_and_weighted_ones_by_rows() -> None:
    large = SiteFigures(train_rows=60, test_rows=30, accuracy=0.8, auc=0.9)
    small = SiteFigures(train_rows=20, test_rows=10, accuracy=0.4, auc=0.5)
    figures = Figures({"A": large, "B": small}, accuracy=0.7, auc=0.8)
    assert (figures.mean_accuracy, figures.mean_auc) == pytest.approx((0.6, 0.7))
    assert figures.weighted_auc == pytest.approx(0.8)
    nobody = Figures({"A": replace(small, auc=None)}, accuracy=0.4, auc=None)
    assert (nobody.mean_auc, nobody.weighted_auc) == (None, None)


def test_several_runs_of_one_site_each_count_as_one_way() -> None:
    runs = [{"sites": _answers(site, 5, ([0, 1], [1, 0]), 1.0, auc=1.0)} for site in "AB"]
    assert set(of_last_round(*runs).sites) == {"A", "B"}


def test_ranking_auc_is_the_share_of_ordered_pairs() -> None:
    generator = np.random.default_rng(7)
    positives, negatives = generator.integers(0, 5, 30), generator.integers(0, 5, 40)
    pairs = [(p > n) + (p == n) / 2 for p in positives for n in negatives]
    histograms = [np.bincount(scores, minlength=5).tolist() for scores in (positives, negatives)]
    assert ranking_auc(*histograms) == pytest.approx(np.mean(pairs))
    assert ranking_auc([1, 2], [0, 0]) is None
