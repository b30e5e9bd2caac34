"""Gradients of a logistic regression."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from numpy_app.task import load_data

app = ClientApp()


def chances(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Say how likely each row is ill."""
    return 1 / (1 + np.exp(-(x @ weights[:-1] + weights[-1])))


@app.query()
def count(msg: Message, context: Context) -> Message:
    """Say how many rows there are to learn from."""
    _, y, _, _ = load_data(context.node_config["db-path"])
    return Message(RecordDict({"size": MetricRecord({"rows": len(y)})}), reply_to=msg)


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Return the gradient at the server's weights."""
    weights = msg.content["weights"].to_numpy_ndarrays()[0]
    x, y, _, _ = load_data(context.node_config["db-path"])
    error = chances(weights, x) - y
    gradient = np.append(x.T @ error, error.sum())
    content = RecordDict({"gradient": ArrayRecord([gradient])})
    return Message(content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Count the right guesses on the rows for testing."""
    weights = msg.content["weights"].to_numpy_ndarrays()[0]
    _, _, x, y = load_data(context.node_config["db-path"])
    right = int(((chances(weights, x) > 0.5) == (y > 0.5)).sum())
    return Message(RecordDict({"score": MetricRecord({"right": right, "num-examples": len(y)})}), reply_to=msg)
