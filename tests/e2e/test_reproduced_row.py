"""One row of the published tables over real nodes: the figures are those of the same recipe in this process."""

from pathlib import Path

import pytest

from bench.reproduce.playing import Player
from bench.reproduce.recipes import CENTRES, RECIPES, visits_of_first
from federation.library.heart_disease import reference
from federation.library.heart_disease.heart_disease import task
from federation.library.heart_disease.source import write_centres
from tests.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SEED = 42


def test_a_model_of_one_site_is_tested_at_all_of_them(stage: Stage, tmp_path: Path) -> None:
    recipe = next(item for item in RECIPES if item.key == "flamby-full-cyclic")
    sites = reference.make_sites(reference.read_splits(write_centres(tmp_path)), task.SITE)
    model, training = task.make_model(SEED), task.Training(steps=100, batch_size=4, learning_rate=0.01)
    for number in range(1, visits_of_first(SEED) + 1):
        task.train(model, sites["Cleveland"].train, training, task.round_seed(SEED, number))
    expected = reference.compare(sites, lambda _: model).sites

    (played,) = Player(stage.stack, stage.cast, stage.prepared).play([(recipe, SEED)])

    assert {name: played.metrics[name]["accuracy"] for name in CENTRES} == {
        name: pytest.approx(expected[name].accuracy) for name in CENTRES
    }
    assert {name: played.metrics[name]["auc"] for name in CENTRES} == {
        name: pytest.approx(expected[name].auc) for name in CENTRES
    }
    assert len(played.runs) == 2
