"""SCAFFOLD: each site's steps are corrected by how its own direction differs from that of all sites.

Karimireddy et al., SCAFFOLD: Stochastic Controlled Averaging for Federated Learning, ICML 2020, algorithm 1, option
II. Flower has no class for it. The sites' control variates are kept by the portal beside the model, because a site's
process may be lost: option II computes them from the model that a site sends and the sum of its step sizes, so
nothing else leaves it. A site gets `correction` (its own variate from that of all) and adds it to each gradient of
plain SGD; it reports the sum of its step sizes under the metric that the script declares (`step_sum`). Sites count
alike, as in the paper, or by their rows, as in FedAvg (`weighting`). Buffers are averaged and never stepped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import Description, Memory, Need, Report, Setting
from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


ALIKE, BY_ROWS = "alike", "rows"


def build(setting: Setting) -> Strategy:
    from federation.strategies.own.scaffold import Scaffold  # workers only: the web process stays free of Flower

    return Scaffold(
        sites=setting.sites,
        server_rate=setting.number("server-learning-rate"),
        step_sum=str(setting.declaration["step_sum"]),
        by_rows=setting.parameters.get("weighting") == BY_ROWS,
    )


DESCRIPTION = Description(
    name="scaffold",
    title="SCAFFOLD",
    summary="Corrects each site's steps by how its own direction differs from that of all, where sites differ much.",
    paper="Karimireddy et al., SCAFFOLD: Stochastic Controlled Averaging for Federated Learning, ICML 2020",
    build=build,
    handling="step",
    parameters=(
        Parameter(
            name="server-learning-rate",
            type="float",
            default=1.0,
            min=0.01,
            max=10.0,
            description="Step size of the server's optimiser.",
        ),
        Parameter(
            name="weighting",
            type="str",
            default=ALIKE,
            choices=(ALIKE, BY_ROWS),
            description="Whether sites count alike, as in the paper, or by their rows.",
        ),
    ),
    weighting="equal",
    needs=Need("step_sum", "corrects its steps and reports the sum of their sizes (`step_sum`)"),
    reports=Report("step_sum", least=1e-9, most=1e9),
    memory=Memory(lambda strategy: strategy.saved(), lambda strategy, arrays: strategy.restore(arrays)),
)
