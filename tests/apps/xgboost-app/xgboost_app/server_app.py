"""Bagging of the nodes' trees."""

import numpy as np
import xgboost as xgb
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedXgbBagging

from xgboost_app.task import params_of

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Grow the forest and save it."""
    strategy = FedXgbBagging(fraction_train=1.0, fraction_evaluate=1.0)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord([np.frombuffer(b"", dtype=np.uint8)]),
        num_rounds=int(context.run_config["num-server-rounds"]),
    )
    booster = xgb.Booster(params=params_of(context.run_config))
    booster.load_model(bytearray(result.arrays["0"].numpy().tobytes()))
    booster.save_model("final_model.json")
