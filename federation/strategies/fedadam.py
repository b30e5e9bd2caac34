"""Adam at the server: the round's average change is its gradient.

Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 2. Flower's class corrects the bias
of the moments by the round's number; the paper does not (`bias-correction`). Buffers are averaged and never stepped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, Description, Setting, attributes
from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    # Workers only: the web process stays free of Flower.
    from flwr.serverapp.strategy import FedAdam

    from federation.strategies.own.fedadam import UncorrectedAdam

    corrected = setting.parameters.get("bias-correction", "yes") == "yes"  # older runs have no such parameter
    return (FedAdam if corrected else UncorrectedAdam)(
        **EVERY_SITE,
        eta=setting.number("server-learning-rate"),
        beta_1=setting.number("beta-1"),
        beta_2=setting.number("beta-2"),
        tau=setting.number("tau"),
    )


DESCRIPTION = Description(
    name="fedadam",
    title="FedAdam",
    summary="Takes the sites' average change as a gradient and lets Adam step at the server.",
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
        Parameter(
            name="bias-correction",
            type="str",
            default="yes",
            choices=("yes", "no"),
            description="Whether steps are scaled as in Adam, whose moments begin at zero; the paper's are not.",
        ),
    ),
    memory=attributes("m_t", "v_t"),
)
