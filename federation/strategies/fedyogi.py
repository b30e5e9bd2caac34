"""Yogi at the server: Adam whose second moment changes slowly, for gradients that vary much.

Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 2. Buffers are averaged and never stepped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, Description, Setting, attributes
from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import FedYogi  # workers only: the web process stays free of Flower

    return FedYogi(
        **EVERY_SITE,
        eta=setting.number("server-learning-rate"),
        beta_1=setting.number("beta-1"),
        beta_2=setting.number("beta-2"),
        tau=setting.number("tau"),
    )


DESCRIPTION = Description(
    name="fedyogi",
    title="FedYogi",
    summary="As FedAdam, with a second moment that grows and shrinks slowly: calmer where sites differ much.",
    paper="Reddi et al., Adaptive Federated Optimization, ICLR 2021",
    build=build,
    handling="step",
    parameters=(
        Parameter(
            name="server-learning-rate",
            type="float",
            default=0.01,
            min=1e-05,
            max=10.0,
            description="Step size of the server's optimiser.",
        ),
        Parameter(
            name="beta-1",
            type="float",
            default=0.9,
            min=0.0,
            max=0.999,
            description="How much of the direction of earlier rounds goes on: the first moment's decay.",
        ),
        Parameter(
            name="beta-2",
            type="float",
            default=0.99,
            min=0.0,
            max=0.99999,
            description="How slowly the scale of each parameter's changes is forgotten: the second moment's decay.",
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
