"""What a strategy tells about itself, so that pages, API and engine need not know it by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy

ConfigValue = int | float | str | bool
Arrays = Mapping[str, np.ndarray]

MALICIOUS = "malicious-sites"

Asks = Literal["all", "in turn", "one"]
Handling = Literal["average", "step", "robust", "last", "trees"]
Weighting = Literal["examples", "equal", "loss", "none"]


@dataclass(frozen=True)
class Setting:
    """Where a strategy works.

    Attributes:
        parameters: the run's, validated.
        declaration: what the script says of itself (`[tool.fedstudy]`).
        sites: how many sites the run trains at.
    """

    parameters: Mapping[str, ConfigValue]
    declaration: Mapping[str, Any] = field(default_factory=dict)
    sites: int = 1

    def number(self, name: str) -> float:
        return float(self.parameters[name])

    def count(self, name: str) -> int:
        return int(self.parameters[name])


@dataclass(frozen=True)
class Minimum:
    """The fewest answers that a round needs: `base` and so many for each of some whole-number parameters."""

    base: int = 1
    per: Mapping[str, int] = field(default_factory=dict)

    def answers(self, parameters: Mapping[str, ConfigValue]) -> int:
        return self.base + sum(times * int(parameters[name]) for name, times in self.per.items())

    @property
    def formula(self) -> str:
        terms = [name if times == 1 else f"{times} × {name}" for name, times in self.per.items()]
        return " + ".join([*terms, str(self.base)])


@dataclass(frozen=True)
class Need:
    """What a script must declare before a run of it can choose the strategy.

    Attributes:
        declared: the field of `[tool.fedstudy]`.
        sentence: goes on from "needs a script that".
    """

    declared: str
    sentence: str
    code: str = "E_STRATEGY_SUPPORT"


@dataclass(frozen=True)
class Report:
    """A number that every answer must bring among its metrics: the script declares its name in `declared`."""

    declared: str
    least: float
    most: float


@dataclass(frozen=True)
class Memory:
    """How what a strategy carries from round to round becomes named arrays, and comes back."""

    save: Callable[[Any], dict[str, np.ndarray]]
    restore: Callable[[Any, Arrays], None]


@dataclass(frozen=True)
class Description:
    """One algorithm that combines the sites' models.

    Attributes:
        paper: where the algorithm was published.
        build: makes Flower's strategy.
        handling: which arrays the strategy gets, and in which form (`federation.strategies.conduct`).
        weighting: what a site counts by.
        minimums: all of them hold in every round.
        asks: all sites at once, one after the other with the model handed on, or one a round.
        needs: what the script has to do and to declare.
        reports: a number that the strategy reads from every answer.
        memory: None where each round begins anew.
        elementwise: every number of the model comes from the same number of the answers and nothing else.
        model: whether the script's model is arrays or trees.
        mixes: how many sites' answers at least are mixed in what other sites get, of a quorum.
    """

    name: str
    title: str
    summary: str
    paper: str
    build: Callable[[Setting], Strategy]
    handling: Handling
    parameters: tuple[Parameter, ...] = ()
    weighting: Weighting = "examples"
    minimums: tuple[Minimum, ...] = (Minimum(),)
    asks: Asks = "all"
    needs: Need | None = None
    reports: Report | None = None
    memory: Memory | None = None
    elementwise: bool = False
    model: Literal["arrays", "trees"] = "arrays"
    mixes: Callable[[Mapping[str, ConfigValue], int], int] = lambda _, quorum: quorum

    def fewest_answers(self, parameters: Mapping[str, ConfigValue]) -> int:
        """The answers without which a round cannot hold the algorithm's promise."""
        return max(minimum.answers(parameters) for minimum in self.minimums)

    @property
    def minimum_sites(self) -> int:
        """The fewest answers with the parameters' defaults."""
        return self.fewest_answers({parameter.name: parameter.default for parameter in self.parameters})

    @property
    def minimum_formula(self) -> str:
        return " and ".join(minimum.formula for minimum in self.minimums)

    def unsupported_by(self, declaration: Mapping[str, Any]) -> Need | None:
        """What the script would have to declare and does not; None where it suits."""
        if declaration.get("model", "arrays") != self.model:
            kind = "trees" if self.model == "trees" else "arrays that can be averaged"
            return Need("model", f"makes a model of {kind}")
        if self.needs is not None and not declaration.get(self.needs.declared):
            return self.needs
        return None


def attributes(*names: str) -> Memory:
    """The memory of a strategy that keeps dictionaries of arrays in attributes of these names."""

    def save(strategy: Any) -> dict[str, np.ndarray]:
        return {
            f"{attribute}/{name}": array
            for attribute in names
            for name, array in (getattr(strategy, attribute) or {}).items()
        }

    def restore(strategy: Any, arrays: Arrays) -> None:
        for attribute in names:
            prefix = f"{attribute}/"
            mine = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            setattr(strategy, attribute, mine or None)

    return Memory(save, restore)


MALICIOUS_SITES = Parameter(
    name=MALICIOUS,
    type="int",
    default=1,
    min=1.0,
    max=100.0,
    unit="sites",
    description="How many sites may send anything at all without ruining the model.",
)
EVERY_SITE: dict[str, Any] = {"min_train_nodes": 1, "min_evaluate_nodes": 1, "min_available_nodes": 1}
