"""Every strategy that a run may choose, by name."""

from __future__ import annotations

from types import MappingProxyType

from federation.strategies import fedavg, fedprox
from federation.strategies.description import Description

STRATEGIES = MappingProxyType(
    {description.name: description for description in (fedavg.DESCRIPTION, fedprox.DESCRIPTION)}
)


def names() -> list[str]:
    return list(STRATEGIES)


def describe(name: str) -> Description | None:
    return STRATEGIES.get(name)
