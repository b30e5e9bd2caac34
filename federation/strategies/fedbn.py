"""FedBN, FedPer: some layers stay at each site and are its own; the others are averaged as in FedAvg.

Li et al., FedBN: Federated Learning on Non-IID Features via Local Batch Normalization, ICLR 2021 (local: the
BatchNorm layers); Arivazhagan et al., Federated Learning with Personalization Layers, 2019 (local: the last layers).
Flower has no class for it. Which layers are local is what the script declares (`local_layers`, patterns of array
names); it leaves them out of what it sends when the message's `config` names them under `local-layers`, and keeps
them in its context's state. An answer that holds one is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import Description, Need, Setting

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from federation.strategies.own.fedbn import LocalLayers  # workers only: the web process stays free of Flower

    return LocalLayers(setting.declaration["local_layers"])


DESCRIPTION = Description(
    name="fedbn",
    title="FedBN / local layers",
    summary="Leaves the layers that the script names at each site, and averages the others: one model a site.",
    paper="Li et al., FedBN: Federated Learning on Non-IID Features via Local Batch Normalization, ICLR 2021",
    build=build,
    handling="average",
    elementwise=True,
    needs=Need("local_layers", "keeps layers at the site (`local_layers`)"),
)
