"""What a finding is: a place in a script that a reviewer should look at, with the reason in plain words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Category(StrEnum):
    """What a finding is about."""

    FILE = "file"
    NETWORK = "network"
    PROCESS = "process"
    DYNAMIC = "dynamic code"
    NATIVE = "native code"
    DESERIALISATION = "deserialisation"
    OBFUSCATION = "obfuscation"
    FLOWER = "flower"


class Risk(StrEnum):
    """How much a reviewer should mind it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0 for low, 2 for high."""
        return list(Risk).index(self)


@dataclass(frozen=True)
class Finding:
    """One place to look at.

    Attributes:
        line: of the file, from 1.
        rule: stable name of the rule that found it; bandit's rules are named `bandit:B301`.
        detail: a sentence for people.
    """

    path: str
    line: int
    category: Category
    risk: Risk
    rule: str
    detail: str

    def as_json(self) -> dict[str, object]:
        """As it is stored and sent."""
        return asdict(self)

    @property
    def order(self) -> tuple[int, str, int, str, str]:
        """The riskiest first, then by place."""
        return (-self.risk.rank, self.path, self.line, self.rule, self.detail)


def highest(findings: list[Finding]) -> Risk | None:
    """The highest risk among findings, None where there are none."""
    return max((item.risk for item in findings), key=lambda risk: risk.rank, default=None)
