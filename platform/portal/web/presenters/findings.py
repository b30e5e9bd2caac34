"""Findings of the static analysis as the pages show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedstudy_core.analysis import Category, Finding, Risk


@dataclass(frozen=True)
class FindingCount:
    """How many findings of one risk there are."""

    risk: str
    number: int


def findings_of(stored: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Stored findings as the analysis made them."""
    return [
        Finding(
            path=item["path"],
            line=item["line"],
            category=Category(item["category"]),
            risk=Risk(item["risk"]),
            rule=item["rule"],
            detail=item["detail"],
        )
        for item in stored
    ]


def counts_of(findings: Iterable[Finding]) -> list[FindingCount]:
    """The numbers by risk, the highest first; risks without findings are left out."""
    numbers = Counter(item.risk for item in findings)
    return [FindingCount(risk.value, numbers[risk]) for risk in reversed(Risk) if numbers[risk]]


def by_line(findings: Iterable[Finding], path: str) -> dict[int, list[Finding]]:
    """The findings of one file by line."""
    found: dict[int, list[Finding]] = {}
    for item in findings:
        if item.path == path:
            found.setdefault(item.line, []).append(item)
    return found


def split_by_risk(findings: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Those to look at first, and those of low risk."""
    return [item for item in findings if item.risk is not Risk.LOW], [
        item for item in findings if item.risk is Risk.LOW
    ]
