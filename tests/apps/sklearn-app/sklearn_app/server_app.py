"""Federated averaging of the parameters."""

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from sklearn_app.task import get_model, get_model_params, set_initial_params, set_model_params

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run federated averaging and save the model."""
    model = get_model(str(context.run_config["penalty"]), int(context.run_config["local-epochs"]))
    set_initial_params(model)
    strategy = FedAvg(fraction_train=1.0, fraction_evaluate=1.0)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(get_model_params(model)),
        num_rounds=int(context.run_config["num-server-rounds"]),
    )
    set_model_params(model, result.arrays.to_numpy_ndarrays())
    np.savetxt("coefficients.csv", model.coef_, delimiter=",")
