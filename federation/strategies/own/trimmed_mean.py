"""Flower's trimmed mean, told how many answers to cut instead of which share of them."""

from __future__ import annotations

from collections.abc import Iterable

from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedTrimmedAvg


class TrimmedMean(FedTrimmedAvg):
    """Cuts the `cut` lowest and the `cut` highest values of each parameter, however many sites answer."""

    def __init__(self, cut: int) -> None:
        super().__init__(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1)
        self._cut = cut

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """As Flower does, with the share that cuts so many."""
        answers = list(replies)
        # Flower rounds the share times the answers down; the quarter keeps that from falling below.
        self.beta = (self._cut + 0.25) / len(answers)
        return super().aggregate_train(server_round, answers)
