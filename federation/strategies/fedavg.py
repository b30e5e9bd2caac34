"""Federated averaging: the sites' parameters, weighted by their example counts.

McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017, algorithm 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, Description, Setting

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import FedAvg  # workers only: the web process stays free of Flower

    return FedAvg(**EVERY_SITE)


DESCRIPTION = Description(
    name="fedavg",
    title="FedAvg",
    summary="Averages the sites' models, each weighted by its number of training rows.",
    paper="McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017",
    build=build,
    handling="average",
    elementwise=True,
)
