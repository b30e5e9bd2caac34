"""FLamby's preparation: exact counts, the exact split, exact moments."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from bench.reproduce.pooling import write_pooled
from federation.library.heart_disease.heart_disease.preparation import (
    FEATURES,
    Moments,
    Rows,
    Split,
    normalise,
    prepare,
    prepare_pooled,
    split_indices,
)
from federation.library.heart_disease.heart_disease.task import Site

COUNTS = {
    "Cleveland": (199, 91, 104, 48),
    "Hungary": (172, 65, 89, 33),
    "Switzerland": (30, 30, 16, 15),
    "VA Long Beach": (85, 66, 45, 35),
}


def sklearn_split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.unique(labels, return_counts=True)[1]
    stratify = labels if len(counts) > 1 and all(counts > 2) else None
    train, test = train_test_split(
        np.arange(len(labels)),
        test_size=1 - 0.66,
        train_size=0.66,
        random_state=43,
        shuffle=True,
        stratify=stratify,
    )
    return np.sort(train), np.sort(test)


@pytest.mark.parametrize("centre", COUNTS)
def test_counts_are_flambys(splits: dict[str, Split], centre: str) -> None:
    train, test = splits[centre].train, splits[centre].test
    assert (len(train), train.labels.sum(), len(test), test.labels.sum()) == COUNTS[centre]
    assert train.features.shape == (len(train), len(FEATURES)) == (len(train), 13)


@pytest.mark.parametrize("centre", COUNTS)
def test_split_is_scikit_learns(splits: dict[str, Split], paths: dict[str, Path], centre: str) -> None:
    raw = pd.read_csv(paths[centre]).drop(columns=["slope", "ca", "thal"]).dropna()
    train, test = sklearn_split((raw["num"] != 0).to_numpy(dtype=float))
    np.testing.assert_array_equal(splits[centre].train.features[:, 0], raw["age"].to_numpy()[train])
    np.testing.assert_array_equal(splits[centre].test.features[:, FEATURES.index("chol")], raw["chol"].to_numpy()[test])


@pytest.mark.parametrize("seed", range(40))
def test_split_is_scikit_learns_for_any_labels(seed: int) -> None:
    draw = np.random.default_rng(seed)
    labels = (draw.random(draw.integers(12, 400)) < draw.random()).astype(float)
    for ours, theirs in zip(split_indices(labels), sklearn_split(labels), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_first_row_is_encoded_as_described(paths: dict[str, Path]) -> None:
    frame = pd.read_csv(paths["Cleveland"]).head(10)
    split = prepare(frame.to_dict("list"))
    oldest = np.concatenate([split.train.features, split.test.features])
    row = oldest[(oldest[:, 0] == 63) & (oldest[:, 2] == 145)][0]
    np.testing.assert_array_equal(row, [63, 1, 145, 233, 1, 150, 0, 2.3, 0, 0, 0, 0, 1])


def test_moments_give_the_exact_mean_and_deviation(splits: dict[str, Split]) -> None:
    rows = [split.train for split in splits.values()]
    everything = np.concatenate([row.features for row in rows])
    summed = {
        name: np.sum([Moments.of(row).arrays()[name] for row in rows], axis=0) for name in Moments.of(rows[0]).arrays()
    }
    moments = Moments.from_arrays(summed)
    assert moments.count == len(everything) == 486
    np.testing.assert_allclose(moments.mean(), everything.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(moments.deviation(), everything.std(axis=0), rtol=1e-10)


def test_a_feature_that_never_varies_becomes_zero(splits: dict[str, Split]) -> None:
    train = splits["Switzerland"].train
    normalised = normalise(train, Moments.of(train))
    assert not train.features[:, FEATURES.index("chol")].any()
    assert not normalised.features[:, FEATURES.index("chol")].any()
    assert np.isfinite(normalised.features).all()


def test_a_constant_far_from_zero_becomes_zero() -> None:
    rows = Rows(np.full((7, 13), 1234.567), np.ones(7))
    assert np.abs(normalise(rows, Moments.of(rows)).features).max() < 1e-9


def test_moments_of_nothing_are_refused() -> None:
    arrays = {"count": np.zeros(1), "sum": np.zeros(13), "sum-of-squares": np.zeros(13)}
    with pytest.raises(ValueError, match="no rows"):
        Moments.from_arrays(arrays)


def test_absent_columns_are_named(paths: dict[str, Path]) -> None:
    frame = pd.read_csv(paths["Cleveland"]).drop(columns=["chol", "num"])
    with pytest.raises(ValueError, match="lacks the columns chol, num"):
        prepare(frame.to_dict("list"))


def test_an_unknown_code_is_refused_without_telling_it(paths: dict[str, Path]) -> None:
    frame = pd.read_csv(paths["Cleveland"])
    frame.loc[3, "sex"] = "secret"
    with pytest.raises(ValueError, match="column sex") as caught:
        prepare(frame.to_dict("list"))
    assert "secret" not in str(caught.value)


def test_a_dataset_without_complete_rows_is_refused(paths: dict[str, Path]) -> None:
    frame = pd.read_csv(paths["Cleveland"]).assign(chol=np.nan)
    with pytest.raises(ValueError, match="no row"):
        prepare(frame.to_dict("list"))


def test_one_complete_row_is_too_few(paths: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="too few"):
        prepare(pd.read_csv(paths["Cleveland"]).head(1).to_dict("list"))


def test_pooled_rows_are_the_centres_train_rows_and_each_site_is_normalised_by_itself(
    splits: dict[str, Split], paths: dict[str, Path], tmp_path: Path
) -> None:
    names = ("Hungary", "VA Long Beach")
    file = write_pooled({name: paths[name] for name in names}, tmp_path / "pooled.csv")
    pooled = prepare_pooled(pd.read_csv(file).to_dict("list"))
    assert [len(part) for part in pooled.parts] == [172, 85]
    assert len(pooled.test) == 0
    np.testing.assert_array_equal(
        pooled.train.features, np.concatenate([splits[name].train.features for name in names])
    )
    alone = np.concatenate([Site.of(splits[name], None).train.features for name in names])
    np.testing.assert_array_equal(Site.of(pooled, None).train.features, alone)
    together = Moments.of(pooled.train)
    assert abs(Site.of(pooled, together).train.features.mean(dim=0)).max() < 1e-5


def test_pooled_rows_need_to_say_whose_they_are(paths: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="lacks the columns site"):
        prepare_pooled(pd.read_csv(paths["Hungary"]).to_dict("list"))
