"""What every strategy keeps to, whichever it is."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import ConfigRecord

from federation.strategies.catalogue import STRATEGIES
from federation.strategies.conduct import slices_of
from federation.strategies.description import Description
from fedstudy_core import flower as records
from fedstudy_core.artifacts import decode_arrays, encode_arrays
from fedstudy_core.errors import FedStudyError, Refusal
from fedstudy_core.updates import schema_of
from tests.strategies.builders import (
    ARRAY_STRATEGIES,
    Arrays,
    answers,
    conduct,
    contribution,
    defaults,
    network,
    single,
)

ALL = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=lambda item: item.name)
ARRAYS = pytest.mark.parametrize("strategy", ARRAY_STRATEGIES, ids=lambda item: item.name)


def rounds(name: str, count: int, *, encode: bool = False) -> tuple[Arrays, Arrays]:
    """Some rounds from one model on; with `encode` what is kept goes through files in between, as between workers."""
    model, memory = network(), {}
    for number in range(1, count + 1):
        leader = conduct(name)
        model, memory = leader.combine(number, model, memory, answers(8, seed=number))
        if encode:
            model, memory = (decode_arrays(encode_arrays(item)) if item else {} for item in (model, memory))
    return model, memory


@ARRAYS
def test_names_order_shapes_and_dtypes_stay(strategy: Description) -> None:
    model, _ = rounds(strategy.name, 3)
    assert list(model) == list(network())
    assert schema_of(model) == schema_of(network())
    assert all(np.isfinite(array).all() for array in model.values())


@ARRAYS
def test_the_order_of_arrival_does_not_matter(strategy: Description) -> None:
    if strategy.asks == "in turn":
        pytest.skip("its order is the turns'")
    given = answers(8)
    expected = encode_arrays(conduct(strategy.name).combine(1, network(), {}, given)[0])
    for seed in range(5):
        random.Random(seed).shuffle(given)
        assert encode_arrays(conduct(strategy.name).combine(1, network(), {}, given)[0]) == expected


@ARRAYS
def test_what_is_kept_survives_being_written_and_read(strategy: Description) -> None:
    plain, kept = rounds(strategy.name, 4), rounds(strategy.name, 4, encode=True)
    assert encode_arrays(plain[0]) == encode_arrays(kept[0])
    assert bool(plain[1]) == (strategy.memory is not None)
    if strategy.memory is not None:
        assert encode_arrays(plain[1]) == encode_arrays(kept[1])
        forgetful = conduct(strategy.name).combine(5, plain[0], {}, answers(8, seed=5))[0]
        mindful = conduct(strategy.name).combine(5, plain[0], plain[1], answers(8, seed=5))[0]
        outgoing = conduct(strategy.name).outgoing("train", 5, plain[0], plain[1], [1])[0]
        corrected = "correction" in outgoing and np.abs(outgoing["correction"]["norm.weight"].numpy()).max() > 0  # type: ignore[union-attr, index]
        assert corrected or encode_arrays(forgetful) != encode_arrays(mindful), "what is kept counts"


@ARRAYS
def test_combining_leaves_the_answers_as_they_were(strategy: Description) -> None:
    given, model = answers(8), network()
    before = [encode_arrays(records.arrays_of(item.arrays)) for item in given]
    conduct(strategy.name).combine(1, model, {}, given)
    assert [encode_arrays(records.arrays_of(item.arrays)) for item in given] == before
    assert encode_arrays(model) == encode_arrays(network())


@ARRAYS
def test_sites_that_agree_keep_their_model(strategy: Description) -> None:
    if strategy.handling == "step":
        pytest.skip("a server's optimiser steps its own way")
    same = [contribution(site, network(7), examples=site) for site in range(1, 8)]
    model, _ = conduct(strategy.name).combine(1, network(), {}, same)
    for name, array in network(7).items():
        np.testing.assert_allclose(model[name], array, rtol=1e-3 if array.dtype == np.float16 else 1e-6)


@ARRAYS
def test_examples_count_exactly_where_it_says_so(strategy: Description) -> None:
    few, many = (
        [contribution(site, single([site, site**2]), examples=count) for site in range(1, 8)]
        if count == 10
        else [contribution(site, single([site, site**2]), examples=count * site) for site in range(1, 8)]
        for count in (10, 11)
    )
    one, other = (conduct(strategy.name).combine(1, single([0, 0]), {}, given)[0] for given in (few, many))
    assert np.array_equal(one["w"], other["w"]) == (strategy.weighting != "examples")


@ALL
def test_too_few_answers_are_refused(strategy: Description) -> None:
    fewest = strategy.fewest_answers(defaults(strategy))
    assert fewest == strategy.minimum_sites
    if strategy.asks != "all" or fewest == 1:
        return
    with pytest.raises(FedStudyError, match=f"needs {fewest} answers"):
        conduct(strategy.name).combine(1, network(), {}, answers(fewest - 1))
    conduct(strategy.name).combine(1, network(), {}, answers(fewest))


FEWEST = {
    "median": [3, 5, 7],
    "trimmed-mean": [3, 5, 7],
    "krum": [5, 7, 9],
    "multi-krum": [5, 7, 9],
    "bulyan": [7, 11, 15],
}


@pytest.mark.parametrize("name", FEWEST)
def test_malicious_sites_ask_for_so_many_honest_ones(name: str) -> None:
    strategy = STRATEGIES[name]
    found = [strategy.fewest_answers({**defaults(strategy), "malicious-sites": count}) for count in (1, 2, 3)]
    assert found == FEWEST[name]
    if name == "multi-krum":
        wide = {"malicious-sites": 1, "sites-to-select": 6}
        assert strategy.fewest_answers(wide) == 9


@ALL
def test_every_site_gets_the_round_and_the_model(strategy: Description) -> None:
    for phase in ("train", "evaluate"):
        contents = conduct(strategy.name).outgoing(phase, 4, _model(strategy), {}, [3, 1, 7])
        assert len(contents) == 3
        for content in contents:
            sent = records.arrays_of(content.array_records["arrays"])
            assert encode_arrays(sent) == encode_arrays(_model(strategy))
            config = content.config_records["config"]
            assert config["server-round"] == 4
            assert isinstance(config, ConfigRecord)


def _model(strategy: Description) -> Arrays:
    return network() if strategy.model == "arrays" else {"0": np.zeros(0, dtype=np.uint8)}


@ALL
def test_it_says_what_it_is(strategy: Description) -> None:
    assert strategy.summary.endswith(".")
    assert " 20" in strategy.paper
    assert strategy.minimum_formula
    for parameter in strategy.parameters:
        assert parameter.description.endswith(".")
        if parameter.type == "str":
            assert parameter.choices and parameter.default in parameter.choices
            continue
        assert parameter.min is not None
        assert parameter.max is not None
        assert parameter.min <= float(parameter.default) <= parameter.max


SUPPORT = {
    "fedprox": ("uses_proximal", "E_PROXIMAL"),
    "scaffold": ("step_sum", "E_STRATEGY_SUPPORT"),
    "qfedavg": ("train_loss", "E_STRATEGY_SUPPORT"),
    "fedbn": ("local_layers", "E_STRATEGY_SUPPORT"),
    "xgb-bagging": ("model", "E_STRATEGY_SUPPORT"),
    "xgb-cyclic": ("model", "E_STRATEGY_SUPPORT"),
}


@ALL
def test_a_script_that_declares_nothing_supports_what_needs_nothing(strategy: Description) -> None:
    need = strategy.unsupported_by({})
    assert (need and (need.declared, need.code)) == SUPPORT.get(strategy.name)
    trees = strategy.unsupported_by({"model": "trees"})
    assert (trees is None) == (strategy.model == "trees")


@ARRAYS
def test_numbers_beyond_bounds_are_refused_before_they_count(strategy: Description) -> None:
    leader = conduct(strategy.name)
    metrics = {"train-loss": 0.5, "step-sum": 0.1}
    leader.check(single([1, 2]), single([1, 2]), metrics)
    with pytest.raises(Refusal) as refusal:
        leader.check(single([1, 2]), single([1, 1e39]), metrics)
    assert refusal.value.code == "E_UPDATE_NORM"
    with pytest.raises(Refusal) as refusal:
        leader.check(single([1, 2]), single([1, 2, 3]), metrics)
    assert refusal.value.code == "E_UPDATE_SHAPE"


@ARRAYS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_numbers_do_not_end_a_run(strategy: Description, dtype: str) -> None:
    largest = float(np.finfo(np.float32).max)
    model, memory = single([0, 0], dtype), {}
    for number in range(1, 4):
        given = [contribution(site, single([site, site], dtype)) for site in range(1, 7)]
        hostile = contribution(7, single([largest, -largest], dtype), step_sum=1e-9, train_loss=1e9)
        model, memory = conduct(strategy.name).combine(number, model, memory, [*given, hostile])
        assert np.isfinite(model["w"]).all()


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("qfedavg", {"train-loss": -1.0}),
        ("qfedavg", {"train-loss": float("nan")}),
        ("qfedavg", {"train-loss": [0.5]}),
        ("qfedavg", {}),
        ("scaffold", {"step-sum": 0.0}),
        ("scaffold", {}),
    ],
)
def test_an_answer_without_the_number_that_the_strategy_reads_is_refused(name: str, metrics: dict[str, float]) -> None:
    with pytest.raises(Refusal) as refusal:
        conduct(name).check(single([1]), single([2]), metrics)
    assert refusal.value.code == "E_METRICS_FORM"


@pytest.mark.parametrize(
    "strategy", [item for item in ARRAY_STRATEGIES if item.elementwise], ids=lambda item: item.name
)
def test_slices_make_the_very_model_that_whole_arrays_make(
    strategy: Description, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each answer is let go of after each slice."""
    given = [contribution(site, network(site), 10 * site) for site in range(1, 9)]
    whole = conduct(strategy.name)._by_kind(conduct(strategy.name)._strategy({}), 1, network(), given)
    gone: list[int] = []
    mapped = [replace(item, let_go=lambda site=item.site: gone.append(site)) for item in given]
    monkeypatch.setattr("federation.strategies.conduct.SLICE", 4)
    sliced, _ = conduct(strategy.name).combine(1, network(), {}, mapped)
    assert encode_arrays(sliced) == encode_arrays(whole)
    assert len(gone) > 5 * len(given)


def test_slices_cover_every_array_once() -> None:
    model = {"a": np.arange(5), "b": np.arange(10), "empty": np.zeros(0), "none": np.ones(()), "c": np.arange(3)}
    seen: dict[str, list[np.ndarray]] = {name: [] for name in model}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("federation.strategies.conduct.SLICE", 4)
        for part in slices_of(model):
            assert sum(place.stop - place.start for place in part.values()) <= 4
            for name, place in part.items():
                seen[name].append(model[name].reshape(-1)[place])
    assert all(np.array_equal(np.concatenate(parts), model[name].reshape(-1)) for name, parts in seen.items())
