"""FedAvg over the layers that are shared; `federation.strategies.fedbn` says where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flwr.app import ArrayRecord, ConfigRecord, Message
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

LOCAL_LAYERS = "local-layers"


class LocalLayers(FedAvg):
    """Tells the sites which layers are their own."""

    def __init__(self, patterns: Sequence[str]) -> None:
        super().__init__(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1)
        self._patterns = list(patterns)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg does, with the patterns."""
        config[LOCAL_LAYERS] = list(self._patterns)
        return super().configure_train(server_round, arrays, config, grid)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg does, with the patterns."""
        config[LOCAL_LAYERS] = list(self._patterns)
        return super().configure_evaluate(server_round, arrays, config, grid)
