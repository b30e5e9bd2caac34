"""FedAvg with momentum at the server: the average change of earlier rounds goes on.

Hsu, Qi and Brown, Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification,
2019. Buffers are averaged and never stepped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from federation.strategies.description import EVERY_SITE, Arrays, Description, Memory, Setting
from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import FedAvgM  # workers only: the web process stays free of Flower

    return FedAvgM(
        **EVERY_SITE,
        server_learning_rate=setting.number("server-learning-rate"),
        server_momentum=setting.number("server-momentum"),
    )


def _save(strategy: Any) -> dict[str, np.ndarray]:
    """The momentum, which Flower keeps as a list in the model's order."""
    return {
        f"momentum/{position:06d}": np.asarray(array) for position, array in enumerate(strategy.momentum_vector or [])
    }


def _restore(strategy: Any, arrays: Arrays) -> None:
    strategy.momentum_vector = [arrays[name] for name in sorted(arrays)] or None


DESCRIPTION = Description(
    name="fedavgm",
    title="FedAvgM",
    summary="Averages as FedAvg does and lets the average change of earlier rounds go on, as a ball rolls.",
    paper="Hsu et al., Measuring the Effects of Non-Identical Data Distribution for Federated Classification, 2019",
    build=build,
    handling="step",
    parameters=(
        Parameter(
            name="server-learning-rate",
            type="float",
            default=1.0,
            min=0.00001,
            max=10.0,
            description="Step size of the server's optimiser; 1 without momentum is FedAvg.",
        ),
        Parameter(
            name="server-momentum",
            type="float",
            default=0.9,
            min=0.0,
            max=0.999,
            description="How much of the earlier rounds' change goes on.",
        ),
    ),
    memory=Memory(_save, _restore),
)
