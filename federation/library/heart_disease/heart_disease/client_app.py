"""What runs at a site. Nothing but sums, weights and metrics leaves these functions."""

from __future__ import annotations

import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from . import dataset, task
from .preparation import Moments

# A site's work is tiny: more threads would only fight each other where several nodes share a machine.
torch.set_num_threads(1)

app = ClientApp()


@app.query("initial_model")
def initial_model(message: Message, context: Context) -> Message:
    """The model before the first round, from the run's seed alone: asked of one site."""
    model = task.make_model(int(context.run_config["seed"]))
    return Message(RecordDict({"arrays": ArrayRecord(model.state_dict())}), reply_to=message)


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
    model = _received_model(message)
    loss = task.train(model, rows, _training(message, context), _round_seed(message, context))
    metrics = MetricRecord({"num-examples": len(rows), "train-loss": loss})
    content = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics})
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the received model on the test rows."""
    rows = dataset.read_site(context, message.content).test
    evaluation = task.evaluate(task.predict(_received_model(message), rows), rows)
    return Message(RecordDict({"metrics": MetricRecord(evaluation.metrics())}), reply_to=message)


def _received_model(message: Message) -> torch.nn.Linear:
    model = task.make_model(seed=0)
    arrays = message.content.array_records["arrays"]
    task.load_arrays(model, {name: array.numpy() for name, array in arrays.items()})
    return model


def _training(message: Message, context: Context) -> task.Training:
    """The run's configuration; a strategy that sends ``proximal-mu`` itself, as FedProx does, prevails."""
    config = context.run_config
    return task.Training(
        steps=int(config["local-steps"]),
        batch_size=int(config["batch-size"]),
        learning_rate=float(config["learning-rate"]),
        proximal_mu=float(_config(message).get("proximal-mu", config["proximal-mu"])),  # type: ignore[arg-type]
    )


def _round_seed(message: Message, context: Context) -> int:
    return task.round_seed(int(context.run_config["seed"]), int(_config(message).get("server-round", 0)))  # type: ignore[arg-type]


def _config(message: Message) -> ConfigRecord:
    return message.content.config_records.get("config", ConfigRecord())
