"""The site's handlers, called as Flower calls them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message

from bench.reproduce.pooling import write_pooled
from federation.library.heart_disease import reference
from federation.library.heart_disease.heart_disease import client_app, dataset, task
from federation.library.heart_disease.heart_disease.preparation import FEATURES, Moments, Split
from federation.library.heart_disease.heart_disease.task import Training

from .conftest import MakeContext, MakeMessage


@pytest.fixture
def model() -> ArrayRecord:
    return ArrayRecord(task.make_model(42).state_dict())


@pytest.fixture
def shared(splits: dict[str, Split]) -> ArrayRecord:
    moments = reference.moments_of_all(splits).arrays()
    return ArrayRecord({name: Array(values) for name, values in moments.items()})


@pytest.fixture
def train_message(make_message: MakeMessage, model: ArrayRecord, shared: ArrayRecord) -> Message:
    return make_message("train", {"server-round": 3}, arrays=model, shared=shared)


def arrays(message: Message, record: str = "arrays") -> dict[str, np.ndarray]:
    return {name: array.numpy() for name, array in message.content.array_records[record].items()}


def test_the_initial_model_is_the_seeds(make_context: MakeContext, make_message: MakeMessage) -> None:
    reply = client_app.app(make_message("query.initial_model"), make_context(seed=5))
    expected = task.make_model(5).state_dict()
    assert {name: array.shape for name, array in arrays(reply).items()} == {"weight": (1, 13), "bias": (1,)}
    np.testing.assert_array_equal(arrays(reply)["weight"], expected["weight"].numpy())


def test_moments_are_those_of_the_train_rows(
    make_context: MakeContext, make_message: MakeMessage, splits: dict[str, Split]
) -> None:
    reply = client_app.app(make_message("query.moments"), make_context("Hungary"))
    sums = arrays(reply, "sums")
    assert {array.dtype for array in sums.values()} == {np.dtype("float64")}
    assert sums["count"].tolist() == [172]
    np.testing.assert_array_equal(sums["sum"], splits["Hungary"].train.features.sum(axis=0))
    expected = Moments.of(splits["Hungary"].train).squares
    np.testing.assert_array_equal(sums["sum-of-squares"], expected)


def test_no_sums_leave_a_site_that_normalises_by_itself(make_context: MakeContext, make_message: MakeMessage) -> None:
    reply = client_app.app(make_message("query.moments"), make_context(normalise="site"))
    assert arrays(reply, "sums") == {}


@pytest.mark.parametrize("normalise", ["site", "global"])
def test_training_is_the_tasks(
    make_context: MakeContext, splits: dict[str, Split], train_message: Message, normalise: str
) -> None:
    reply = client_app.app(train_message, make_context("VA Long Beach", normalise=normalise, local_steps=30))
    expected = task.make_model(42)
    rows = reference.make_sites(splits, normalise)["VA Long Beach"].train
    training = Training(steps=30, batch_size=4, learning_rate=0.01)
    loss = task.train(expected, rows, training, task.round_seed(42, 3))
    np.testing.assert_array_equal(arrays(reply)["weight"], expected.state_dict()["weight"].numpy())
    assert dict(reply.content.metric_records["metrics"]) == {"num-examples": 85, "train-loss": loss}


def test_a_repeated_round_gives_the_same_answer_and_another_round_another(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord
) -> None:
    context = make_context(normalise="site")
    first, again, other = (
        arrays(client_app.app(make_message("train", {"server-round": number}, arrays=model), context))["weight"]
        for number in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_strategys_proximal_weight_prevails_over_the_runs(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord
) -> None:
    def trained(sent: dict[str, int | float], configured: float) -> list[float]:
        message = make_message("train", {"server-round": 1, **sent}, arrays=model)
        reply = client_app.app(message, make_context(normalise="site", proximal_mu=configured))
        return list(arrays(reply)["weight"][0])

    assert trained({"proximal-mu": 5.0}, 0.0) == trained({}, 5.0) == trained({"proximal-mu": 5.0}, 1.0)
    assert trained({}, 5.0) != trained({}, 0.0)


def test_evaluation_is_on_the_test_rows(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord, shared: ArrayRecord
) -> None:
    reply = client_app.app(make_message("evaluate", arrays=model, shared=shared), make_context("Switzerland"))
    metrics = reply.content.metric_records["metrics"]
    assert metrics["num-examples"] == 16
    assert (sum(metrics["score-positives"]), sum(metrics["score-negatives"])) == (15, 1)
    apart = {name for name in metrics if name.count(".") == 2}
    assert {*metrics} - apart == {"num-examples", "accuracy", "auc", "loss", "score-positives", "score-negatives"}
    assert {name.partition(".")[2] for name in apart} == {"sex.female", "sex.male", "age.under-55", "age.from-55"}
    assert sum(metrics["score-positives.sex.male"]) == 15
    assert sum(metrics["score-positives.age.under-55"]) == 6


def test_the_last_test_brings_replicates_that_can_be_subtracted(
    make_context: MakeContext, make_message: MakeMessage, shared: ArrayRecord
) -> None:
    def tested(seed: int, *, last: bool = True, key: str = "ab" * 32, **config: object) -> dict[str, Any]:
        context = make_context(str(config.pop("centre", "Cleveland")), **{"bootstrap": 200, **config})
        context.node_config["drawing-key"] = key
        model = ArrayRecord(task.make_model(seed).state_dict())
        message = make_message("evaluate", {"last-test": last}, arrays=model, shared=shared)
        return dict(client_app.app(message, context).content.metric_records["metrics"])

    one, other = tested(1), tested(2, cholesterol_missing=240.0)
    assert one["replicates-of"] == other["replicates-of"]
    paired = np.subtract(one["auc-replicates"], other["auc-replicates"])
    assert np.mean(paired) == pytest.approx(one["auc"] - other["auc"], abs=4 * np.std(paired) / 200**0.5)
    assert np.mean(one["accuracy-replicates"]) == pytest.approx(one["accuracy"], abs=0.01)
    assert tested(1, key="cd" * 32)["replicates-of"] != one["replicates-of"]
    assert tested(1, centre="Hungary")["replicates-of"] != one["replicates-of"]
    assert not any("replicates" in name for name in (*tested(1, last=False), *tested(1, bootstrap=0)))
    lonely = tested(1, centre="Switzerland")
    assert "accuracy-replicates" in lonely
    assert "auc-replicates" not in lonely, "one healthy row says nothing of how areas spread"


def test_a_site_of_one_class_reports_no_auc(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord, tmp_path: Path, paths: dict[str, Path]
) -> None:
    header, *rows = paths["Cleveland"].read_text("utf-8").splitlines()
    healthy = tmp_path / "healthy.csv"
    healthy.write_text("\n".join([header, *(row for row in rows if row.endswith(",0"))]), "utf-8")
    context = make_context(normalise="site")
    context.node_config["dataset-path"] = str(healthy)
    metrics = client_app.app(make_message("evaluate", arrays=model), context).content.metric_records["metrics"]
    assert "auc" not in metrics
    assert metrics["num-examples"] == 56


def test_the_rows_are_prepared_once(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "_splits", {})
    monkeypatch.setattr(dataset, "_sites", {})
    opened: list[object] = []
    real = dataset.open_table
    monkeypatch.setattr(dataset, "open_table", lambda context: opened.append(context) or real(context))
    for kind in ("train", "evaluate", "train"):
        client_app.app(make_message(kind, arrays=model), make_context(normalise="site"))
    assert len(opened) == 1


def test_global_normalisation_without_moments_is_an_error(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord
) -> None:
    with pytest.raises(ValueError, match="moments of all sites"):
        client_app.app(make_message("train", arrays=model), make_context())


def test_an_unknown_question_is_an_error(make_context: MakeContext, make_message: MakeMessage) -> None:
    with pytest.raises(ValueError, match="rows"):
        client_app.app(make_message("query.rows"), make_context())


def test_a_correction_is_added_to_every_step_and_the_step_sizes_are_reported(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord
) -> None:
    context = make_context(normalise="site", local_steps=7)
    zero = ArrayRecord({"weight": Array(np.zeros((1, 13), np.float32)), "bias": Array(np.zeros(1, np.float32))})
    drift = ArrayRecord({"weight": Array(np.zeros((1, 13), np.float32)), "bias": Array(np.ones(1, np.float32))})
    plain, still, drawn = (
        client_app.app(make_message("train", {"server-round": 1}, arrays=model, **extra), context)
        for extra in ({}, {"correction": zero}, {"correction": drift})
    )
    np.testing.assert_array_equal(arrays(plain)["weight"], arrays(still)["weight"])
    assert "step-sum" not in plain.content.metric_records["metrics"]
    assert still.content.metric_records["metrics"]["step-sum"] == pytest.approx(0.07)
    assert arrays(drawn)["bias"][0] == pytest.approx(arrays(plain)["bias"][0] - 0.07, abs=0.01)


LOCAL: dict[str, object] = {"local-layers": ["bias"]}


def test_a_local_layer_stays_at_the_site_and_is_kept_by_round(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord
) -> None:
    context = make_context(normalise="site", local_steps=20)
    shared = ArrayRecord({"weight": model["weight"]})

    def ask(kind: str, number: int) -> Message:
        return client_app.app(make_message(kind, {**LOCAL, "server-round": number}, arrays=shared), context)  # type: ignore[arg-type]

    first = client_app.app(make_message("query.initial_model", LOCAL), context)  # type: ignore[arg-type]
    assert list(arrays(first)) == ["weight"]
    before = dict(ask("evaluate", 0).content.metric_records["metrics"])
    one = ask("train", 1)
    assert list(arrays(one)) == ["weight"]
    assert dict(ask("evaluate", 1).content.metric_records["metrics"]) != before
    two = ask("train", 2)
    again = ask("train", 2)
    np.testing.assert_array_equal(arrays(two)["weight"], arrays(again)["weight"])
    assert not np.array_equal(arrays(two)["weight"], arrays(one)["weight"]), "the site's own layer moved on"
    assert sorted(context.state) == ["local.1", "local.2"]


def test_nothing_is_kept_where_no_layer_is_local(make_context: MakeContext, train_message: Message) -> None:
    context = make_context()
    client_app.app(train_message, context)
    assert not context.state


@pytest.fixture
def pooled(tmp_path: Path, paths: dict[str, Path]) -> Path:
    return write_pooled({name: paths[name] for name in ("Hungary", "Switzerland")}, tmp_path / "pooled.csv")


def test_all_pooled_rows_train_and_none_test(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord, pooled: Path
) -> None:
    context = make_context(normalise="site")
    context.node_config |= {"dataset-path": str(pooled), "pooled": True}
    trained = client_app.app(make_message("train", {"server-round": 1}, arrays=model), context)
    assert trained.content.metric_records["metrics"]["num-examples"] == 172 + 30
    tested = client_app.app(make_message("evaluate", arrays=model), context).content.metric_records["metrics"]
    assert dict(tested) == {"num-examples": 202}


def test_no_steps_send_the_model_back_as_it_came(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord
) -> None:
    context = make_context(normalise="site", local_steps=0)
    reply = client_app.app(make_message("train", {"server-round": 1}, arrays=model), context)
    np.testing.assert_array_equal(arrays(reply)["weight"], model["weight"].numpy())


def test_a_site_recalibrates_before_it_tests_and_sends_the_shared_intercept(
    make_context: MakeContext, make_message: MakeMessage, model: ArrayRecord
) -> None:
    accuracies = {}
    for recalibrate in ("no", "intercept"):
        context = make_context("Switzerland", normalise="site", recalibrate=recalibrate)
        reply = client_app.app(make_message("evaluate", arrays=model), context)
        accuracies[recalibrate] = reply.content.metric_records["metrics"]["accuracy"]
    assert accuracies["intercept"] == 15 / 16 > accuracies["no"]


def test_a_cholesterol_of_0_is_replaced_where_the_run_says_by_what(
    make_context: MakeContext, make_message: MakeMessage
) -> None:
    column = FEATURES.index("chol")
    sums = [
        arrays(
            client_app.app(make_message("query.moments"), make_context("Switzerland", cholesterol_missing=value)),
            "sums",
        )
        for value in (0.0, 240.0)
    ]
    assert [total["sum"][column] for total in sums] == [0.0, 30 * 240.0]
