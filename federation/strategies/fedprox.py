"""FedAvg with a proximal term in each site's loss that holds its model near the global one.

Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020, equation 2. The term is added by the script:
the strategy only sends `proximal-mu` to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from federation.strategies.description import ConfigValue, Description
from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(parameters: Mapping[str, ConfigValue]) -> Strategy:
    from flwr.serverapp.strategy import FedProx  # workers only: the web process stays free of Flower

    return FedProx(
        min_train_nodes=1,
        min_evaluate_nodes=1,
        min_available_nodes=1,
        proximal_mu=float(parameters["proximal-mu"]),
    )


DESCRIPTION = Description(
    name="fedprox",
    title="FedProx",
    summary="Averages as FedAvg does, and asks each site to stay near the global model while it trains.",
    parameters=(
        Parameter(
            name="proximal-mu",
            type="float",
            default=0.01,
            min=0.0,
            max=10.0,
            description="How strongly a site's model is held near the global one; 0 is FedAvg.",
        ),
    ),
    minimum_sites=1,
    build=build,
    needs_proximal_term=True,
)
