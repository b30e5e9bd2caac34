"""What a strategy tells about itself, so that pages, API and engine need not know it by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy

ConfigValue = int | float | str | bool


@dataclass(frozen=True)
class Description:
    """One algorithm that combines the sites' models.

    Attributes:
        minimum_sites: fewer sites than this and the algorithm cannot hold its promise.
        build: makes Flower's strategy from validated parameters.
        needs_proximal_term: the script has to add the proximal term, and must declare that it does.
    """

    name: str
    title: str
    summary: str
    parameters: tuple[Parameter, ...]
    minimum_sites: int
    build: Callable[[Mapping[str, ConfigValue]], Strategy]
    needs_proximal_term: bool = False
