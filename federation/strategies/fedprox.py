"""FedAvg with a proximal term in each site's loss that holds its model near the global one.

Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020, equation 2. The term is added by the script:
the strategy only sends `proximal-mu` to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, Description, Need, Setting
from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import FedProx  # workers only: the web process stays free of Flower

    return FedProx(**EVERY_SITE, proximal_mu=setting.number("proximal-mu"))


DESCRIPTION = Description(
    name="fedprox",
    title="FedProx",
    summary="Averages as FedAvg does, and asks each site to stay near the global model while it trains.",
    paper="Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020",
    build=build,
    handling="average",
    elementwise=True,
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
    needs=Need("uses_proximal", "adds the proximal term (`uses_proximal`)", code="E_PROXIMAL"),
)
