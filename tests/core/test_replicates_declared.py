"""What a script declares of its bootstrap replicates."""

from __future__ import annotations

import pytest

from fedstudy_core import bundle as bundles
from fedstudy_core.errors import Refusal
from fedstudy_core.metrics import combine, is_raw
from tests.core.builders import FILES, PROJECT, zipped

METRICS = 'metrics = {auc = "mean", auc-replicates = "replicates", replicates-of = "identity"}'


def declared(metrics: str) -> dict[str, str]:
    project = PROJECT.replace('initial = "query.initial"', 'initial = "query.initial"\n' + metrics)
    return dict(bundles.inspect(zipped({**FILES, "pyproject.toml": project.encode()})).declaration.metrics)


def test_replicates_are_among_the_metrics_that_a_site_signs() -> None:
    assert declared(METRICS) == {"auc": "mean", "auc-replicates": "replicates", "replicates-of": "identity"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (', replicates-of = "identity"', ""),
        ("replicates-of =", "rows ="),
        ('replicates-of = "identity"', 'replicates-of = "mean"'),
        ('auc-replicates = "replicates"', 'auc-replicates = "mean"'),
        ("auc-replicates =", "again ="),
        ('auc = "mean", ', ""),
        ('auc = "mean"', 'auc = "histogram"'),
        ("metrics =", 'server = "own"\nmetrics ='),
        ("metrics =", 'headline = "loss"\nmetrics ='),
        ("metrics =", 'train_loss = "auc-replicates"\nmetrics ='),
    ],
)
def test_what_cannot_be_paired_is_not_declared(before: str, after: str) -> None:
    changed = METRICS.replace(before, after)
    assert changed != METRICS
    with pytest.raises(Refusal) as caught:
        declared(changed)
    assert caught.value.code == "E_BUNDLE_DECLARATION"


def test_they_are_each_sites_own_and_no_figures() -> None:
    kinds = declared(METRICS)
    sites = [{"num-examples": 4, "auc": 0.5, "auc-replicates": [0.5, 0.6], "replicates-of": 7}] * 2
    assert combine(sites, kinds) == {"num-examples": 8, "auc": 0.5}
    assert [name for name in sites[0] if is_raw(name)] == ["auc-replicates", "replicates-of"]
