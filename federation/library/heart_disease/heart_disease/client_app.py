"""What runs at a site. Nothing but sums, weights and metrics leaves these functions."""

from __future__ import annotations

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedstudy_node.scripting import resampling

from . import dataset, local, task
from .preparation import Moments

# A site's work is tiny: more threads would only fight each other where several nodes share a machine.
torch.set_num_threads(1)

app = ClientApp()


@app.query("initial_model")
def initial_model(message: Message, context: Context) -> Message:
    """The model before the first round, from the run's seed alone: asked of one site."""
    shared, _ = local.split(_arrays_of(task.make_model(int(context.run_config["seed"]))), _config(message))
    return Message(RecordDict({"arrays": _record(shared)}), reply_to=message)


@app.query("moments")
def moments(message: Message, context: Context) -> Message:
    """Count, sums and sums of squares of the train rows, or nothing where each site normalises by itself."""
    sums = ArrayRecord()
    if context.run_config["normalise"] == task.GLOBAL:
        for name, values in Moments.of(dataset.read_split(context).train).arrays().items():
            sums[name] = Array(values)
    return Message(RecordDict({"sums": sums}), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the received model for the configured number of steps on the train rows."""
    rows = dataset.read_site(context, message.content).train
    model, number = _received_model(message, context, before=1), _round(message)
    training, correction = _training(message, context), message.content.array_records.get("correction")
    drifts = {name: torch.from_numpy(np.array(array.numpy())) for name, array in (correction or {}).items()}
    loss = task.train(model, rows, training, _round_seed(message, context), drifts)
    metrics = MetricRecord({"num-examples": len(rows), "train-loss": loss})
    if correction is not None:
        metrics["step-sum"] = training.steps_over(len(rows)) * training.learning_rate
    shared, staying = local.split(_arrays_of(model), _config(message))
    local.keep(context, number, staying)
    return Message(RecordDict({"arrays": _record(shared), "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the received model on the test rows. Of pooled rows none test: their number is all there is to say."""
    site = dataset.read_site(context, message.content)
    if not len(site.test):
        return Message(RecordDict({"metrics": MetricRecord({"num-examples": len(site.train)})}), reply_to=message)
    model = _received_model(message, context)
    if context.run_config["recalibrate"] == task.INTERCEPT:
        task.recalibrate(model, site.train)
    scores = task.predict(model, site.test)
    metrics = task.evaluate(scores, site.test, site.groups).metrics()
    if _config(message).get("last-test"):
        labels = site.test.labels.squeeze(1).numpy() == 1
        drawn = resampling(context, site.tested, labels, int(context.run_config["bootstrap"]))
        metrics |= {} if drawn is None else task.replicates(scores, drawn)
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)


def _received_model(message: Message, context: Context, before: int = 0) -> torch.nn.Linear:
    """The shared layers that came, with the site's own where some stay here; training takes those of a round before."""
    model = task.make_model(int(context.run_config["seed"]))
    _, first = local.split(_arrays_of(model), _config(message))
    kept = local.recall(context, _round(message) - before) if first else {}
    came = {name: array.numpy() for name, array in message.content.array_records["arrays"].items()}
    task.load_arrays(model, {**first, **kept, **came})
    return model


def _arrays_of(model: torch.nn.Linear) -> dict[str, np.ndarray]:
    return {name: weight.detach().numpy() for name, weight in model.state_dict().items()}


def _record(arrays: task.Arrays) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def _training(message: Message, context: Context) -> task.Training:
    """The run's configuration; a strategy that sends ``proximal-mu`` itself, as FedProx does, prevails."""
    config = context.run_config
    return task.Training(
        steps=int(config["local-steps"]),
        batch_size=int(config["batch-size"]),
        learning_rate=float(config["learning-rate"]),
        proximal_mu=float(_config(message).get("proximal-mu", config["proximal-mu"])),  # type: ignore[arg-type]
        weight_decay=float(config["weight-decay"]),
        optimizer=str(config["optimizer"]),
        epochs=int(config["local-epochs"]),
    )


def _round_seed(message: Message, context: Context) -> int:
    return task.round_seed(int(context.run_config["seed"]), _round(message))


def _round(message: Message) -> int:
    return int(_config(message).get("server-round", 0))  # type: ignore[arg-type]


def _config(message: Message) -> ConfigRecord:
    return message.content.config_records.get("config", ConfigRecord())
