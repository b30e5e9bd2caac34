"""Federated averaging: the sites' parameters, weighted by their example counts.

McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from federation.strategies.description import ConfigValue, Description

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(parameters: Mapping[str, ConfigValue]) -> Strategy:
    from flwr.serverapp.strategy import FedAvg  # workers only: the web process stays free of Flower

    return FedAvg(
        min_train_nodes=1,
        min_evaluate_nodes=1,
        min_available_nodes=1,
    )


DESCRIPTION = Description(
    name="fedavg",
    title="FedAvg",
    summary="Averages the sites' models, each weighted by its number of training rows.",
    parameters=(),
    minimum_sites=1,
    build=build,
)
