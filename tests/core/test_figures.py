"""Figures of one and of several sites, and differences of two models, from what sites report of their tests."""

from __future__ import annotations

import numpy as np
import pytest

from fedstudy_core.figures import (
    AUC,
    Metrics,
    are_of_other_rows,
    ranking_difference,
    ranking_figure,
    site_difference,
    site_figure,
    weighted_difference,
    weighted_figure,
)
from fedstudy_core.resampling import Resampling

SITES = {"Cleveland": 104, "Hungary": 89, "VA": 45}


def report(site: str, rows: int, noise: float, *, key: bytes = bytes(32), times: int = 200) -> Metrics:
    """What a site reports of a model whose scores are so noisy: the same rows for the same site."""
    chance = np.random.default_rng(len(site))
    labels = chance.permutation(np.arange(rows) < rows // 2)
    signal = 0.5 + 0.12 * (2 * labels - 1) + 0.1 * chance.normal(size=rows)
    scores = np.clip(signal + noise * np.random.default_rng(rows).normal(size=rows), 0, 1)
    drawn = Resampling(key, site.encode(), labels, times)
    right = (scores > 0.5) == labels
    positive, negative = scores[labels], scores[~labels]
    counts = [np.histogram(part, bins=200, range=(0, 1))[0].tolist() for part in (positive, negative)]
    told = {"auc-replicates": areas} if (areas := drawn.areas(scores)) else {}
    return {
        "num-examples": rows,
        "accuracy": float(right.mean()),
        "auc": float((positive[:, None] > negative).mean()),
        "score-positives": counts[0],
        "score-negatives": counts[1],
        "replicates-of": drawn.identity,
        "accuracy-replicates": drawn.shares(right),
        **told,
    }


def of_sites(noise: float, **changed: bytes) -> list[Metrics]:
    return [report(site, rows, noise, **changed) for site, rows in SITES.items()]  # type: ignore[arg-type]


def bare(metrics: Metrics) -> Metrics:
    return {name: value for name, value in metrics.items() if "replicates" not in name}


@pytest.mark.parametrize("name", ["accuracy", AUC])
def test_a_site_has_an_interval_about_its_value(name: str) -> None:
    metrics = report("Hungary", 89, 0.05)
    found = site_figure([metrics], name)
    assert found is not None and found.low is not None and found.high is not None
    assert found.low < found.value < found.high
    assert (found.value, found.rows, found.replicates) == (metrics[name], 89, 200)
    assert site_figure([metrics], "loss") is None


def test_without_replicates_an_area_keeps_delongs_interval() -> None:
    metrics = report("Hungary", 89, 0.05)
    drawn, closed = site_figure([metrics], AUC), site_figure([bare(metrics)], AUC)
    assert drawn is not None and closed is not None and closed.replicates == 0
    assert (closed.low, closed.high) == pytest.approx((drawn.low, drawn.high), abs=0.02), "both are of the same rows"
    counted = {name: value for name, value in bare(metrics).items() if name != AUC}
    binned = site_figure([counted], AUC)
    assert binned is not None and binned.value == pytest.approx(closed.value, abs=0.01)
    share = site_figure([bare(metrics)], "accuracy")
    assert share is not None and (share.low, share.high, share.replicates) == (None, None, 0)


@pytest.mark.parametrize("name", ["accuracy", AUC])
def test_the_mean_of_sites_is_narrower_than_each(name: str) -> None:
    sites = of_sites(0.1)
    mean = weighted_figure([sites], name)
    assert mean is not None and mean.low is not None and mean.high is not None
    values = [float(site[name]) for site in sites]  # type: ignore[arg-type]
    assert mean.value == pytest.approx(np.average(values, weights=list(SITES.values())))
    each = [figure for site in sites if (figure := site_figure([site], name))]
    assert all(mean.high - mean.low < (item.high or 0) - (item.low or 0) for item in each)
    assert (mean.rows, mean.replicates) == (238, 200)
    large = weighted_figure([[bare(sites[0]), *sites[1:]]], name)
    assert large is not None and (large.value, large.low) == (pytest.approx(mean.value), None)


@pytest.mark.parametrize("name", ["accuracy", AUC])
def test_a_better_model_is_found_better_where_rows_are_paired(name: str) -> None:
    good, bad = of_sites(0.02), of_sites(0.35)
    found = weighted_difference([good], [bad], name)
    assert found is not None and found.low is not None and found.low > 0
    back = weighted_difference([bad], [good], name)
    assert back is not None and (back.value, back.low) == (
        pytest.approx(-found.value),
        pytest.approx(-(found.high or 0)),
    )
    one = site_difference([good[0]], [bad[0]], name)
    assert one is not None and one.low is not None and one.rows == 104
    assert weighted_difference([good], [good], name) == weighted_difference([bad], [bad], name), (
        "nothing varies: no interval"
    )


def test_other_rows_have_a_difference_and_no_interval() -> None:
    good, bad = of_sites(0.02), of_sites(0.35, key=b"another node's secret")
    assert are_of_other_rows(good[0], bad[0])
    assert not are_of_other_rows(good[0], of_sites(0.35)[0])
    for found in (site_difference([good[0]], [bad[0]], AUC), weighted_difference([good], [bad], AUC)):
        assert found is not None and (found.low, found.high, found.replicates) == (None, None, 0)
    mixed = [*of_sites(0.35)[:2], bad[2]]
    small = weighted_difference([good], [mixed], AUC)
    assert small is not None and small.low is None, "one site's other rows are enough"


def test_a_site_with_one_healthy_row_is_held_fixed() -> None:
    def swiss(noise: float) -> Metrics:
        metrics = dict(report("Switzerland", 16, noise))
        del metrics["auc-replicates"]
        return metrics

    found = weighted_difference([[*of_sites(0.02), swiss(0.02)]], [[*of_sites(0.35), swiss(0.35)]], AUC)
    assert found is not None and found.low is not None and found.rows == 254
    alone = site_difference([swiss(0.02)], [swiss(0.35)], AUC)
    assert alone is not None and alone.low is None


def test_rows_of_all_sites_in_one_ranking_have_delongs_interval_and_no_paired_one() -> None:
    found = ranking_figure([of_sites(0.1)])
    assert found is not None and found.low is not None and found.low < found.value < (found.high or 0)
    apart = ranking_difference([of_sites(0.02)], [of_sites(0.35)])
    assert apart is not None and apart.value > 0 and apart.low is None
    assert ranking_figure([[bare(site) for site in of_sites(0.1)]]) == found
    assert ranking_figure([[{"auc": 0.8, "num-examples": 4}]]) is None
