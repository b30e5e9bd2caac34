"""Starts the strategy and saves the network."""

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp

from torch_app.custom_strategy import DecayingFedAvg
from torch_app.task import Net

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train and save the final model."""
    strategy = DecayingFedAvg(fraction_evaluate=float(context.run_config["fraction-evaluate"]))
    torch.manual_seed(7)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(Net().state_dict()),
        train_config=ConfigRecord({"lr": float(context.run_config["lr"])}),
        num_rounds=int(context.run_config["num-server-rounds"]),
        evaluate_fn=global_evaluate,
    )
    torch.save(result.arrays.to_torch_state_dict(), "final_model.pt")


def global_evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """Say how large the weights are."""
    state = arrays.to_torch_state_dict()
    return MetricRecord({"norm": float(state["fc1.weight"].norm())})
