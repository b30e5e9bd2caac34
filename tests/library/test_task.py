"""The model, its training and its measures."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from federation.library.heart_disease.heart_disease import task
from federation.library.heart_disease.heart_disease.preparation import Rows, Split
from federation.library.heart_disease.heart_disease.task import Site, Tensors, Training


def tensors(rows: int, seed: int) -> Tensors:
    draw = np.random.default_rng(seed)
    return Tensors.of(Rows(draw.normal(size=(rows, 13)), (draw.random(rows) < 0.4).astype(float)))


@pytest.mark.parametrize("decimals", [1, 2, 8])
def test_auc_is_scikit_learns_with_and_without_ties(decimals: int) -> None:
    draw = np.random.default_rng(decimals)
    labels = draw.random(300) < 0.3
    scores = np.round(draw.random(300) + 0.2 * labels, decimals)
    assert task.rank_auc(scores[labels], scores[~labels]) == pytest.approx(roc_auc_score(labels, scores))


def test_auc_of_one_class_is_undefined_and_left_out() -> None:
    rows = Tensors.of(Rows(np.zeros((3, 13)), np.ones(3)))
    evaluation = task.evaluate(np.array([0.1, 0.6, 0.7]), rows)
    assert evaluation.auc is None
    assert "auc" not in evaluation.metrics()
    assert evaluation.accuracy == pytest.approx(2 / 3)


def test_evaluation_agrees_with_scikit_learn() -> None:
    rows = tensors(200, 1)
    scores = task.predict(task.make_model(3), rows)
    labels = rows.labels.squeeze(1).numpy()
    evaluation = task.evaluate(scores, rows)
    assert evaluation.loss == pytest.approx(log_loss(labels, scores))
    assert evaluation.auc == pytest.approx(roc_auc_score(labels, scores))
    assert evaluation.accuracy == pytest.approx(np.mean((scores > 0.5) == (labels == 1)))
    assert sum(evaluation.score_positives) == labels.sum()
    assert sum(evaluation.score_negatives) == len(labels) - labels.sum()
    assert len(evaluation.score_positives) == len(evaluation.score_negatives) == 200


def test_scores_at_the_ends_stay_in_the_histogram_and_the_loss_finite() -> None:
    rows = Tensors.of(Rows(np.zeros((2, 13)), np.array([1.0, 0.0])))
    evaluation = task.evaluate(np.array([0.0, 1.0]), rows)
    assert (evaluation.score_positives[0], evaluation.score_negatives[-1]) == (1, 1)
    assert np.isfinite(evaluation.loss)


def test_the_same_seed_gives_the_same_model_and_training() -> None:
    rows, training = tensors(50, 2), Training(steps=20, batch_size=4, learning_rate=0.1)
    state = torch.random.get_rng_state()
    models = [task.make_model(5) for _ in range(3)]
    losses = [task.train(model, rows, training, seed) for model, seed in zip(models, (1, 1, 2), strict=True)]
    assert torch.equal(models[0].weight, models[1].weight)
    assert losses[0] == losses[1]
    assert not torch.equal(models[0].weight, models[2].weight)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_one_step_is_plain_gradient_descent_with_the_proximal_pull() -> None:
    rows, rate, mu = tensors(8, 4), 0.5, 2.0
    ours, theirs = task.make_model(1), task.make_model(1)
    optimiser = torch.optim.SGD(theirs.parameters(), lr=rate)
    anchor = [weight.detach().clone() for weight in theirs.parameters()]
    for _ in range(3):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(theirs(rows.features), rows.labels)
        pairs = zip(theirs.parameters(), anchor, strict=True)
        proximal = sum(((weight - start) ** 2).sum() for weight, start in pairs)
        optimiser.zero_grad()
        (loss + mu / 2 * proximal).backward()
        optimiser.step()
    task.train(ours, rows, Training(steps=3, batch_size=8, learning_rate=rate, proximal_mu=mu), seed=0)
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def by_torch(optimiser: type[torch.optim.Optimizer], rows: Tensors, training: Training, seed: int) -> torch.nn.Linear:
    """The same passes over the same batches, by autograd and torch's own optimizer."""
    model = task.make_model(1)
    stepper = optimiser(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)  # type: ignore[call-arg]
    for features, labels in task._batches(rows, training, seed):
        stepper.zero_grad()
        torch.autograd.backward(torch.nn.functional.binary_cross_entropy_with_logits(model(features), labels))
        stepper.step()
    return model


@pytest.mark.parametrize(("name", "theirs"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_epochs_are_torchs(name: str, theirs: type[torch.optim.Optimizer], decay: float) -> None:
    rows = tensors(30, 7)
    training = Training(0, 4, 0.01, weight_decay=decay, optimizer=name, epochs=5)
    expected, model = by_torch(theirs, rows, training, 9), task.make_model(1)
    task.train(model, rows, training, 9)
    torch.testing.assert_close(model.weight, expected.weight, rtol=0, atol=1e-6)
    torch.testing.assert_close(model.bias, expected.bias, rtol=0, atol=1e-6)


def test_epochs_count_their_last_small_batch_and_take_the_place_of_steps() -> None:
    assert Training(100, 4, 0.1, epochs=2).steps_over(10) == 6
    assert Training(100, 4, 0.1).steps_over(10) == 100


def test_no_steps_leave_the_model_and_tell_the_loss_of_all_rows() -> None:
    rows, model = tensors(10, 6), task.make_model(1)
    loss = task.train(model, rows, Training(0, 4, 0.1), seed=3)
    assert torch.equal(model.weight, task.make_model(1).weight)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(model(rows.features), rows.labels)
    assert loss == pytest.approx(expected.item(), rel=1e-6)


def test_recalibration_makes_the_mean_risk_the_share_of_the_ill() -> None:
    rows, model = tensors(400, 8), task.make_model(1)
    slopes = model.weight.clone()
    task.recalibrate(model, rows)
    assert torch.equal(model.weight, slopes)
    assert task.predict(model, rows).mean() == pytest.approx(rows.labels.mean().item(), abs=2 / 400)


def test_recalibration_is_finite_where_all_are_ill() -> None:
    rows = Tensors.of(Rows(np.random.default_rng(1).normal(size=(30, 13)), np.ones(30)))
    model = task.make_model(1)
    task.recalibrate(model, rows)
    assert 0.97 < task.predict(model, rows).mean() < 0.995


def test_steps_go_through_all_rows_before_any_row_comes_again() -> None:
    labels = torch.arange(10.0).unsqueeze(1)
    rows, training = Tensors(-labels.expand(10, 13), labels), Training(steps=6, batch_size=4, learning_rate=0.1)
    batches = list(task._batches(rows, training, seed=3))
    assert [len(batch) for _, batch in batches] == [4, 4, 2, 4, 4, 2]
    assert all(torch.equal(features, -batch.expand(-1, 13)) for features, batch in batches)
    for epoch in (batches[:3], batches[3:]):
        assert sorted(torch.cat([batch for _, batch in epoch]).flatten().tolist()) == list(range(10))


def test_the_loss_is_the_mean_of_the_steps_whatever_their_batches_sizes() -> None:
    rows, still = tensors(10, 6), Training(steps=3, batch_size=4, learning_rate=0.0)
    model = task.make_model(1)
    steps = [
        torch.nn.functional.binary_cross_entropy_with_logits(model(features), labels).item()
        for features, labels in task._batches(rows, still, seed=3)
    ]
    assert task.train(model, rows, still, seed=3) == pytest.approx(np.mean(steps), rel=1e-6)


def test_the_first_model_is_the_one_that_torch_makes_of_the_seed() -> None:
    torch.manual_seed(42)
    expected = torch.nn.Linear(13, 1)
    assert torch.equal(task.make_model(42).weight, expected.weight)


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        task.load_arrays(task.make_model(0), {"weight": np.zeros((1, 12)), "bias": np.zeros(1)})


def test_a_site_normalises_its_test_rows_by_its_train_rows(splits: dict[str, Split]) -> None:
    site = Site.of(splits["Hungary"], None)
    assert site.train.features.mean(dim=0).abs().max() < 1e-5
    assert (site.train.features.std(dim=0, correction=0) - 1).abs().max() < 1e-5
    assert site.test.features.mean(dim=0).abs().max() > 0.01
