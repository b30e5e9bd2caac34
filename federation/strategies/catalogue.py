"""Every strategy that a run may choose, by name."""

from __future__ import annotations

from types import MappingProxyType

from federation.strategies import (
    bulyan,
    cyclic,
    fedadagrad,
    fedadam,
    fedavg,
    fedavgm,
    fedbn,
    fedprox,
    fedyogi,
    krum,
    median,
    multi_krum,
    qfedavg,
    scaffold,
    trimmed_mean,
    xgb_bagging,
    xgb_cyclic,
)
from federation.strategies.description import Description

_ALL = (
    *(fedavg, fedprox, fedavgm, fedadam, fedyogi, fedadagrad, qfedavg, scaffold, fedbn, cyclic),
    *(median, trimmed_mean, krum, multi_krum, bulyan, xgb_bagging, xgb_cyclic),
)

STRATEGIES = MappingProxyType({module.DESCRIPTION.name: module.DESCRIPTION for module in _ALL})


def names() -> list[str]:
    return list(STRATEGIES)


def describe(name: str) -> Description | None:
    return STRATEGIES.get(name)
