"""Fits the model to one node's data."""

import warnings

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from sklearn.metrics import log_loss

from sklearn_app.data import load_data
from sklearn_app.task import get_model, get_model_params, set_initial_params, set_model_params

app = ClientApp()


def model_from(msg: Message, context: Context):
    """Return the server's model."""
    model = get_model(str(context.run_config["penalty"]), int(context.run_config["local-epochs"]))
    set_initial_params(model)
    set_model_params(model, msg.content["arrays"].to_numpy_ndarrays())
    return model


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Train the model on local data."""
    model = model_from(msg, context)
    x, y, _, _ = load_data(context.node_config["db-path"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not converge in so few steps
        model.fit(x.astype(float), y)
    metrics = MetricRecord(
        {"train_logloss": log_loss(y, model.predict_proba(x), labels=[0, 1]), "num-examples": len(x)}
    )
    return Message(RecordDict({"arrays": ArrayRecord(get_model_params(model)), "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Evaluate the model on local data."""
    model = model_from(msg, context)
    _, _, x, y = load_data(context.node_config["db-path"])
    metrics = MetricRecord({"test_logloss": log_loss(y, model.predict_proba(x), labels=[0, 1]), "num-examples": len(x)})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
