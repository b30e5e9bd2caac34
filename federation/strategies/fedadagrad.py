"""Adagrad at the server: parameters that changed much so far step less from now on.

Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 1. Buffers are averaged and never stepped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, Description, Setting, attributes
from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import FedAdagrad  # workers only: the web process stays free of Flower

    strategy = FedAdagrad(**EVERY_SITE, eta=setting.number("server-learning-rate"), tau=setting.number("tau"))
    strategy.beta_1 = float(setting.parameters.get("beta-1", 0.0))  # Flower's class takes none; older runs have none
    return strategy


DESCRIPTION = Description(
    name="fedadagrad",
    title="FedAdagrad",
    summary="Steps each parameter the less, the more it has changed in all rounds so far.",
    paper="Reddi et al., Adaptive Federated Optimization, ICLR 2021",
    build=build,
    handling="step",
    parameters=(
        Parameter(
            name="server-learning-rate",
            type="float",
            default=0.1,
            min=1e-05,
            max=10.0,
            description="Step size of the server's optimiser.",
        ),
        Parameter(
            name="beta-1",
            type="float",
            default=0.0,
            min=0.0,
            max=0.999,
            description="How much of the direction of earlier rounds goes on; 0 is plain Adagrad.",
        ),
        Parameter(
            name="tau",
            type="float",
            default=0.001,
            min=1e-08,
            max=1.0,
            description="Added to the root of the second moment; the smaller, the more adaptive.",
        ),
    ),
    memory=attributes("m_t", "v_t"),
)
