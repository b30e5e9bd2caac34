"""Cyclic weight transfer as a Flower strategy: the engine hands the model on, and the last one is the round's."""

from __future__ import annotations

from collections.abc import Iterable

from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAvg


class CyclicTransfer(FedAvg):
    """Takes the model of the last site; the replies come in the order of the turns."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The last reply's model."""
        answers, _ = self._check_and_log_replies(replies, is_train=True)
        return (answers[-1].content.array_records["arrays"], None) if answers else (None, None)
