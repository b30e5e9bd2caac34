"""FedAdam as published, without the correction that Flower's class adds (flwr 1.41)."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAdam


class UncorrectedAdam(FedAdam):
    """Steps by eta, however young the moments are (Reddi et al., ICLR 2021, algorithm 2)."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """As Flower does, with what it multiplies the step size by taken off before."""
        eta, power = self.eta, server_round + 1
        self.eta = eta * (1 - self.beta_1**power) / sqrt(1 - self.beta_2**power)
        try:
            return super().aggregate_train(server_round, replies)
        finally:
            self.eta = eta
