"""q-FedAvg: sites on which the model does badly count more, so that it serves all sites alike.

Li et al., Fair Resource Allocation in Federated Learning, ICLR 2020, algorithm 2. The script declares which of its
metrics is the training loss (`train_loss`); a site without a loss of 0 or more is left out of the round. Buffers are
averaged and never stepped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, Description, Need, Report, Setting
from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import QFedAvg  # workers only: the web process stays free of Flower

    return QFedAvg(
        **EVERY_SITE,
        client_learning_rate=setting.number("client-learning-rate"),
        q=setting.number("q"),
        train_loss_key=str(setting.declaration["train_loss"]),
    )


DESCRIPTION = Description(
    name="qfedavg",
    title="q-FedAvg",
    summary="Gives sites with a higher training loss more weight, for a model that serves all sites alike.",
    paper="Li et al., Fair Resource Allocation in Federated Learning, ICLR 2020",
    build=build,
    handling="step",
    parameters=(
        Parameter(
            name="q",
            type="float",
            default=0.1,
            min=0.0,
            max=10.0,
            description="How much fairness counts; 0 weighs all sites alike.",
        ),
        Parameter(
            name="client-learning-rate",
            type="float",
            default=0.01,
            min=1e-05,
            max=10.0,
            description="The step size of the sites' training, from which the Lipschitz constant is taken.",
        ),
    ),
    weighting="loss",
    needs=Need("train_loss", "reports its training loss (`train_loss`)"),
    reports=Report("train_loss", least=0.0, most=1e9),
)
