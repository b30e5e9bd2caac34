"""Joins the nodes' trees by bagging and saves the model."""

import numpy as np
import xgboost as xgb
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedXgbBagging

from xgboost_app.task import read_config

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Grow the trees, beginning with none, and save them."""
    config = read_config(context.run_config)
    strategy = FedXgbBagging(fraction_train=config["fraction_train"], fraction_evaluate=config["fraction_evaluate"])
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord([np.frombuffer(b"", dtype=np.uint8)]),
        num_rounds=config["num_server_rounds"],
    )
    booster = xgb.Booster(params=config["params"])
    booster.load_model(bytearray(result.arrays["0"].numpy().tobytes()))
    booster.save_model("final_model.json")
