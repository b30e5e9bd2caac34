"""The same rounds driven by Flower itself, for ``flwr run``. FedStudy does not run this file."""

from __future__ import annotations

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from . import task

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Average what all sites send, and have all of them evaluate it."""
    sites = len(list(grid.get_node_ids()))
    strategy = FedAvg(min_train_nodes=sites, min_evaluate_nodes=sites, min_available_nodes=sites)
    rounds = int(context.run_config["num-server-rounds"])
    strategy.start(grid, task.make_model(context.run_config), num_rounds=rounds)
