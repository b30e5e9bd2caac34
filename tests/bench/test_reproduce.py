"""The reproduction's recipes, its reckoning and its page; the runs themselves are `make reproduce`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

from bench.reproduce import __main__ as command
from bench.reproduce import choosing, playing, pooling, reckoning
from bench.reproduce.playing import Played, evaluations
from bench.reproduce.recipes import CENTRES, POOL_OF_ALL, POOL_OF_TWO, RECIPES, SEEDS, TEST_ROWS, visits_of_first
from federation.library.catalogue import ready_script
from federation.library.heart_disease import reference, source
from federation.strategies.catalogue import STRATEGIES
from fedstudy_core.parameters import from_project, validate_config

ILL = (48, 33, 15, 35)
PARAMETERS = from_project(ready_script("heart_disease").project)
BY_KEY = {recipe.key: recipe for recipe in RECIPES}


def scores_of(centre: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Made-up scores of the ill and of the healthy."""
    draw = np.random.default_rng(100 * seed + centre)
    return draw.beta(4, 2, ILL[centre]), draw.beta(2, 4, TEST_ROWS[centre] - ILL[centre])


def metrics_of(centre: int, seed: int) -> dict[str, Any]:
    ill, healthy = scores_of(centre, seed)
    counts = [np.histogram(part, bins=200, range=(0, 1))[0].tolist() for part in (ill, healthy)]
    right = (ill > 0.5).sum() + (healthy <= 0.5).sum()
    return {
        "num-examples": TEST_ROWS[centre],
        "accuracy": float(right / TEST_ROWS[centre]),
        "auc": float((ill[:, None] > healthy).mean()),
        "score-positives": counts[0],
        "score-negatives": counts[1],
    }


def played(key: str) -> list[Played]:
    return [
        Played(
            BY_KEY[key], seed, {name: metrics_of(place, seed) for place, name in enumerate(CENTRES)}, [f"run-{seed}"]
        )
        for seed in SEEDS
    ]


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    return command.rows_of(RECIPES, {recipe.key: played(recipe.key) for recipe in RECIPES})


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.key)
def test_every_recipe_is_what_script_and_strategy_take_and_tests_each_centre_once(recipe: Any) -> None:
    for seed in SEEDS:
        tested: list[str] = []
        for leg in recipe.legs(seed):
            assert validate_config(PARAMETERS, leg.config)["seed"] == seed
            validate_config(STRATEGIES[leg.strategy].parameters, leg.parameters)
            tested += leg.sites if leg.tested_at is None else leg.tested_at
        assert sorted(tested) == sorted(CENTRES)


def test_every_published_row_is_there() -> None:
    assert len(BY_KEY) == len(RECIPES)
    assert {recipe.strategy for recipe in RECIPES if recipe.source == "flamby"} == {
        *("local", "pooled", "fedavg", "fedprox", "scaffold", "fedadam", "fedyogi", "fedadagrad", "cyclic")
    }
    degrees = [recipe.degree for recipe in RECIPES if recipe.source == "fl4e"]
    assert {degree: degrees.count(degree) for degree in degrees} == {"full": 4, "hybrid": 4, "central": 1}


def test_flambys_cycles_come_to_the_first_site_three_or_four_times_in_fifteen_visits() -> None:
    assert {visits_of_first(seed) for seed in range(60)} == {3, 4}
    assert visits_of_first(42, visits=16) == 4


def test_a_row_holds_means_over_the_seeds_in_the_form_that_is_asked_for(rows: Mapping[str, Any]) -> None:
    row = rows["flamby-full-fedavg"]
    expected = np.array([[metrics_of(place, seed)["accuracy"] for place in range(4)] for seed in SEEDS])
    assert [row["accuracy"][name] for name in reckoning.NAMES] == pytest.approx(expected.mean(axis=0), abs=1e-4)
    assert row["accuracy"]["mean"] == pytest.approx(expected.mean(), abs=1e-4)
    auc = np.array([[metrics_of(place, seed)["auc"] for place in range(4)] for seed in SEEDS])
    assert row["auc_weighted"] == pytest.approx(np.average(auc, axis=1, weights=TEST_ROWS).mean(), abs=1e-4)
    assert row["published"]["accuracy"] == {"c0": 0.731, "c1": 0.719, "c2": 0.65, "c3": 0.64, "mean": 0.685}
    assert (row["seeds"], row["degree"], row["source"]) == (5, "full", "flamby")
    assert row["runs"] == [f"run-{seed}" for seed in SEEDS]
    assert rows["fl4e-hybrid-fedavg"]["published"] == {"accuracy": {"mean": 0.74}, "auc": 0.825, "measure": "weighted"}
    assert json.loads(json.dumps(list(rows.values())))


def test_the_single_ranking_is_scikit_learns_within_its_stated_error() -> None:
    for seed in SEEDS:
        pairs = [scores_of(place, seed) for place in range(4)]
        scores = np.concatenate([part for pair in pairs for part in pair])
        ill = np.concatenate([np.full(len(part), 1 - place) for pair in pairs for place, part in enumerate(pair)])
        found = reckoning.tested({name: metrics_of(place, seed) for place, name in enumerate(CENTRES)})
        assert abs(found.ranking - roc_auc_score(ill, scores)) <= found.ranking_within + 1e-12
        assert found.ranking_within < 0.01


def test_fl4es_measure_is_another_at_each_degree(rows: Mapping[str, Any]) -> None:
    full, hybrid, central = (rows[f"fl4e-{name}"] for name in ("full-fedavg", "hybrid-fedavg", "central-pooled"))
    assert full["auc_as_published"] == full["auc_weighted"]
    assert central["auc_as_published"] == central["auc_pooled_ranking"]
    expected = []
    for seed in SEEDS:
        (first, other), (second, more) = scores_of(1, seed), scores_of(2, seed)
        pair = (np.concatenate([first, second])[:, None] > np.concatenate([other, more])).mean()
        auc = [metrics_of(place, seed)["auc"] for place in range(4)]
        expected.append(np.average([auc[0], pair, auc[3]], weights=[104, 105, 45]))
    assert hybrid["auc_as_published"] == pytest.approx(np.mean(expected), abs=0.003)
    assert hybrid["auc_as_published"] != hybrid["auc_weighted"]


def test_a_row_is_held_to_each_centre_and_not_to_the_mean(rows: Mapping[str, Any]) -> None:
    found = played("flamby-full-fedavg")
    shares = dict(zip(CENTRES, BY_KEY["flamby-full-fedavg"].accuracy, strict=True))

    def row(**change: float) -> dict[str, Any]:
        told = [
            Played(item.recipe, item.seed, {name: {**item.metrics[name], "accuracy": share + change.get(name, 0.0)}
                                            for name, share in shares.items()}, [])
            for item in found
        ]  # fmt: skip
        return reckoning.row_of(BY_KEY["flamby-full-fedavg"], told)

    assert row()["within"]
    assert row(Hungary=-0.019)["within"]
    assert not row(Hungary=-0.021, Cleveland=0.019)["within"]


def test_a_centre_that_did_not_test_or_tested_other_rows_is_no_row() -> None:
    metrics = {name: metrics_of(place, 42) for place, name in enumerate(CENTRES)}
    for wrong in ({}, {**metrics["Hungary"], "num-examples": 88}):
        with pytest.raises(reckoning.Incomplete, match="tested"):
            reckoning.tested({**metrics, "Hungary": wrong})


def test_the_bar_is_the_best_of_alone_pooled_and_majority_at_each_centre(rows: Mapping[str, Any]) -> None:
    def told(accuracy: list[float], auc: float = 0.85) -> dict[str, Any]:
        return {"accuracy": dict(zip(reckoning.NAMES, accuracy, strict=True)), "auc_weighted": auc}

    compared = {reckoning.LOCAL: told([0.7, 0.8, 0.7, 0.7]), reckoning.POOLED: told([0.78, 0.7, 0.75, 0.6])}
    bars = [0.77, 0.79, 0.928, 0.768]
    for accuracy, auc, met in (
        (bars, 0.85, True),
        (bars, 0.846, False),
        ([0.769, *bars[1:]], 0.9, False),
        ([*bars[:2], 0.875, 1.0], 0.9, False),
    ):
        found = reckoning.verdict({**compared, reckoning.BEYOND: told(accuracy, auc)})
        assert found is not None
        assert [found["accuracy_at_least"][name] for name in reckoning.NAMES] == pytest.approx(bars)
        assert found["met"] is met
    assert reckoning.verdict(compared) is None


def test_what_was_kept_is_not_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, recipes = tmp_path / "kept", [BY_KEY["flamby-full-fedavg"], BY_KEY["ours-full-fedbn"]]
    assert playing.read_kept(file, recipes, SEEDS) == []
    expected = {recipe.key: played(recipe.key) for recipe in recipes}
    for item in [item for items in expected.values() for item in items]:
        playing.keep(file, item)
    monkeypatch.setattr(command, "prepared_study", lambda _: pytest.fail("A stack was started."))
    assert command.play(recipes, SEEDS, Console(quiet=True), file) == expected
    fewer = command.play(recipes[:1], SEEDS[:2], Console(quiet=True), file)
    assert [item.seed for item in fewer["flamby-full-fedavg"]] == [42, 43]


def test_evaluations_are_those_that_were_done() -> None:
    answers = [
        {"site": "Hungary", "phase": "train", "state": "done", "metrics": {"num-examples": 172}},
        {"site": "Hungary", "phase": "evaluate", "state": "done", "metrics": {"num-examples": 89}},
        {"site": "Cleveland", "phase": "evaluate", "state": "refused", "metrics": {}},
    ]
    assert evaluations({"sites": answers}) == {"Hungary": {"num-examples": 89}}


def test_pooled_files_hold_train_rows_alone_as_they_stand(tmp_path: Path) -> None:
    centres = source.write_centres(tmp_path)
    file = pooling.write_pooled(centres, tmp_path / "pooled.csv")
    pooled = pd.read_csv(file, dtype=str)
    assert pooled["site"].value_counts().to_dict() == dict(zip(CENTRES, (199, 172, 30, 85), strict=True))
    for centre, path in centres.items():
        rows = pd.read_csv(path, dtype=str)
        mine = pooled[pooled["site"] == centre].drop(columns="site").reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, rows.iloc[pooling.train_positions(path)].reset_index(drop=True))


def test_choosing_parts_train_rows_and_looks_at_no_test_row(tmp_path: Path) -> None:
    splits = reference.read_splits(source.write_centres(tmp_path))
    seen = {name: [] for name in splits}  # type: ignore[var-annotated]
    for fold in choosing.folds(splits, 0):
        for name, split in fold.items():
            seen[name].append(split.test.features)
            assert len(split.train) + len(split.test) == len(splits[name].train)
    for name, parts in seen.items():
        together, train = np.concatenate(parts), splits[name].train.features
        assert np.array_equal(np.sort(together, axis=0), np.sort(train, axis=0))


def test_page_picture_and_figures_are_written(rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    judged = [choosing.Judged(choosing.Way("global", 240.0, True, True), 0.41, [0.79, 0.85, 1.0, 0.73])]
    facts = {"runs": 3, "seeds": 5, "minutes": "14", "load": "6", "when": "2026-11-22", "cores": 2, "system": "Linux"}
    document = tmp_path / "docs" / "page.md"
    command.write(rows, judged, facts, tmp_path, document)
    page = document.read_text("utf-8")
    assert "| fedavg | " in page and "(.731)" in page
    assert "| hybrid, fedyogi | " in page
    assert "| .4100" not in page and "| 0.4100 | .790 | .850 | 1.000 | .730 | global | 240 mg/dl |" in page
    assert "{" not in page
    told = json.loads((tmp_path / "reproduce.json").read_text("utf-8"))
    assert [(row["source"], row["degree"], row["strategy"]) for row in told] == [
        (recipe.source, recipe.degree, recipe.strategy) for recipe in RECIPES
    ]
    picture = ElementTree.fromstring(document.with_suffix(".svg").read_text("utf-8"))  # noqa: S314
    circles = picture.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 1 + len(RECIPES) + sum(recipe.source != "flamby" for recipe in RECIPES)


def test_pools_are_of_the_centres_that_the_recipes_say() -> None:
    used = {site for recipe in RECIPES for leg in recipe.legs(42) for site in leg.sites}
    assert used == {*CENTRES, POOL_OF_ALL, POOL_OF_TWO}
