"""Ordinary scripts, in the shape of Flower's own template and of others, in which there is nothing to mind."""

from __future__ import annotations

from tests.core.analysis.frame import in_train

USUAL_CLIENT = '''
"""The client app of Flower's own template, with data from the node."""

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from tiny.task import Net, load_data
from tiny.task import test as test_fn
from tiny.task import train as train_fn

app = ClientApp()


@app.train()
def train(msg: Message, context: Context):
    """Train the model on local data."""
    model = Net()
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    model.to(device)
    trainloader, _ = load_data(context)
    loss = train_fn(model, trainloader, context.run_config["local-steps"], msg.content["config"]["lr"], device)
    metrics = {"loss": loss, "num-examples": len(trainloader.dataset)}
    content = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    """Evaluate the model on local data."""
    model = Net()
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    _, valloader = load_data(context)
    loss = test_fn(model, valloader)
    return Message(RecordDict({"metrics": MetricRecord({"loss": loss, "num-examples": 1})}), reply_to=msg)
'''
USUAL_TASK = '''
"""Model, training and data."""

from collections import OrderedDict

import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import Compose, Normalize, ToTensor

transforms = Compose([ToTensor(), Normalize((0.5,), (0.5,))])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(13, 8)
        self.fc2 = nn.Linear(8, 1)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


def load_data(context):
    frame = pd.read_csv(context.node_config["dataset-path"])
    frame = frame.query("age > 17").dropna()
    train, test = train_test_split(frame, test_size=0.2, random_state=42)
    return DataLoader(TensorDataset(_tensor(train)), batch_size=8), DataLoader(TensorDataset(_tensor(test)))


def _tensor(frame):
    return torch.tensor(frame.to_numpy(), dtype=torch.float32)


def train(net, loader, epochs, lr, device):
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    net.train()
    total = 0.0
    for _ in range(epochs):
        for (batch,) in loader:
            optimizer.zero_grad()
            loss = F.mse_loss(net(batch[:, :-1].to(device)), batch[:, -1:].to(device))
            loss.backward()
            optimizer.step()
            total += loss.item()
    return total / max(len(loader), 1)


def test(net, loader):
    net.eval()
    with torch.no_grad():
        return sum(float(F.mse_loss(net(batch[:, :-1]), batch[:, -1:])) for (batch,) in loader)


def set_weights(net, parameters):
    net.load_state_dict(OrderedDict(zip(net.state_dict().keys(), parameters)), strict=True)
'''
USUAL_SERVER = '''
"""The server app of Flower's own template; FedStudy does not run it."""

import torch
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from tiny.task import Net

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds and keep the model."""
    result = FedAvg().start(grid=grid, initial_arrays=ArrayRecord(Net().state_dict()), num_rounds=3)
    torch.save(result.arrays.to_torch_state_dict(), "final_model.pt")
'''
NUMPY_CLIENT = '''
"""A logistic regression with scikit-learn over the node's interface."""

import logging
import os

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from fedstudy_node.scripting import open_dataset
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from sklearn.linear_model import LogisticRegression

logger = logging.getLogger(__name__)
app = ClientApp()
FEATURES = ("age", "chol", "thalach")


@app.query("initial")
def initial(message: Message, context: Context) -> Message:
    zeros = {"coef": Array(np.zeros((1, 3))), "intercept": Array(np.zeros(1))}
    return Message(RecordDict({"arrays": ArrayRecord(zeros)}), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    rows = open_dataset(context)
    model = LogisticRegression(max_iter=int(context.run_config["local-steps"]))
    model.fit(rows[list(FEATURES)], rows["outcome"])
    logger.info("trained")
    arrays = ArrayRecord({"coef": Array(model.coef_), "intercept": Array(model.intercept_)})
    metrics = MetricRecord({"num-examples": len(rows), "loss": float(np.mean(model.predict(rows) != 1))})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)
'''
# name -> files beside pyproject.toml
ORDINARY: dict[str, dict[str, str]] = {
    "Flower's template": {"tiny/client.py": USUAL_CLIENT, "tiny/task.py": USUAL_TASK, "tiny/server.py": USUAL_SERVER},
    "scikit-learn": {
        "tiny/client.py": NUMPY_CLIENT,
        "tiny/server.py": USUAL_SERVER.replace("from tiny.task import Net", "Net = dict"),
    },
    "nothing but an app": {"tiny/client.py": in_train("pass"), "tiny/server.py": "app = None\n"},
}
