"""Adds trees to the global model."""

import numpy as np
import xgboost as xgb
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from xgboost_app.data import load_data
from xgboost_app.task import params_of

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Boost locally and send the new trees."""
    x, y, _, _ = load_data(context.node_config["db-path"])
    data, params = xgb.DMatrix(x, label=y), params_of(context.run_config)
    rounds = int(context.run_config["local-epochs"])
    if msg.content["config"]["server-round"] == 1:
        booster = xgb.train(params, data, num_boost_round=rounds)
    else:
        booster = xgb.Booster(params=params)
        booster.load_model(bytearray(msg.content["arrays"]["0"].numpy().tobytes()))
        for _ in range(rounds):
            booster.update(data, booster.num_boosted_rounds())
        booster = booster[booster.num_boosted_rounds() - rounds : booster.num_boosted_rounds()]
    model = np.frombuffer(booster.save_raw("json"), dtype=np.uint8)
    content = RecordDict({"arrays": ArrayRecord([model]), "metrics": MetricRecord({"num-examples": len(y)})})
    return Message(content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Evaluate the global model on local data."""
    _, _, x, y = load_data(context.node_config["db-path"])
    params = params_of(context.run_config)
    booster = xgb.Booster(params=params)
    booster.load_model(bytearray(msg.content["arrays"]["0"].numpy().tobytes()))
    text = booster.eval_set([(xgb.DMatrix(x, label=y), "valid")], iteration=0)
    metrics = MetricRecord({"auc": float(text.split("\t")[1].split(":")[1]), "num-examples": len(y)})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
