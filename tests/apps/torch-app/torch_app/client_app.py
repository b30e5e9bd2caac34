"""Trains the network on one node."""

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from torch_app.data import load_data
from torch_app.task import Net
from torch_app.task import test as test_fn
from torch_app.task import train as train_fn

app = ClientApp()


def net_from(msg: Message) -> Net:
    """Return the server's network."""
    net = Net()
    net.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    return net


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Train the model on local data."""
    net = net_from(msg)
    x, y, _, _ = map(torch.from_numpy, load_data(context.node_config["db-path"]))
    loss = train_fn(net, x, y, int(context.run_config["local-epochs"]), float(msg.content["config"]["lr"]))
    metrics = MetricRecord({"train_loss": loss, "num-examples": len(x)})
    return Message(RecordDict({"arrays": ArrayRecord(net.state_dict()), "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Evaluate the model on local data."""
    _, _, x, y = map(torch.from_numpy, load_data(context.node_config["db-path"]))
    loss, accuracy = test_fn(net_from(msg), x, y)
    metrics = MetricRecord({"eval_loss": loss, "eval_acc": accuracy, "num-examples": len(x)})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
