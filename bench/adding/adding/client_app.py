"""What runs at a site."""

from __future__ import annotations

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from . import task

app = ClientApp()


@app.query("initial_model")
def initial_model(message: Message, context: Context) -> Message:
    """The model before the first round."""
    return Message(RecordDict({"arrays": task.make_model(context.run_config)}), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Add the site's number."""
    arrays = task.add(message.content.array_records["arrays"], context.node_id)
    metrics = MetricRecord({"num-examples": task.weight(context.node_id)})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Read the whole model that came."""
    mean = task.mean(message.content.array_records["arrays"])
    metrics = MetricRecord({"num-examples": task.weight(context.node_id), "mean": mean})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
