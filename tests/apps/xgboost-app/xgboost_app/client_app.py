"""Grows trees for the global model on one node."""

import numpy as np
import xgboost as xgb
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from xgboost_app.data import load_data
from xgboost_app.task import read_config

app = ClientApp()


def load_booster(msg: Message, params: dict) -> xgb.Booster:
    """Return the server's trees."""
    booster = xgb.Booster(params=params)
    booster.load_model(bytearray(msg.content["arrays"]["0"].numpy().tobytes()))
    return booster


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Boost on local data and send the new trees only."""
    config = read_config(context.run_config)
    x, y, _, _ = load_data(context.node_config["db-path"])
    data, rounds = xgb.DMatrix(x, label=y), config["local_epochs"]
    if msg.content["config"]["server-round"] == 1:
        booster = xgb.train(config["params"], data, num_boost_round=rounds)
    else:
        booster = load_booster(msg, config["params"])
        for _ in range(rounds):
            booster.update(data, booster.num_boosted_rounds())
        booster = booster[booster.num_boosted_rounds() - rounds : booster.num_boosted_rounds()]
    model = np.frombuffer(booster.save_raw("json"), dtype=np.uint8)
    content = RecordDict({"arrays": ArrayRecord([model]), "metrics": MetricRecord({"num-examples": len(y)})})
    return Message(content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Evaluate the global model on local data."""
    booster = load_booster(msg, read_config(context.run_config)["params"])
    _, _, x, y = load_data(context.node_config["db-path"])
    told = booster.eval_set([(xgb.DMatrix(x, label=y), "valid")], iteration=booster.num_boosted_rounds() - 1)
    metrics = MetricRecord({"auc": float(told.split("\t")[1].split(":")[1]), "num-examples": len(y)})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
