"""The script page: parameters, what leaves a site, and each site's word."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from portal.web.formats import value_text
from portal.web.presenters.picture import Picture, decision_of
from studies.enrolment.models import Enrolment
from studies.enrolment.states import TAKING_PART
from studies.scripts.models import ScriptVersion


@dataclass(frozen=True)
class ParameterRow:
    """A declared parameter, its limits in words."""

    name: str
    type: str
    default: str
    allowed: str
    description: str
    unit: str


@dataclass(frozen=True)
class OutputRow:
    """Something that leaves a site: in answer to which message, what, and how it is combined."""

    message: str
    what: str
    combined: str


@dataclass(frozen=True)
class ApprovalRow:
    """One site's word on a version; ``page`` is where its people sign, ``command`` what they type.

    Attributes:
        left: how the site's part in the study ended: "withdrawn" or "declined"; empty while it takes part.
    """

    site: str
    decision: str
    approver: str
    signed_at: dt.datetime | None
    not_after: dt.datetime | None
    statement_id: str
    limits: str
    revoked_at: dt.datetime | None
    reason: str
    left: str
    command: str
    page: str
    is_yours: bool


def parameter_rows(parameters: Sequence[dict[str, Any]]) -> list[ParameterRow]:
    """Declared parameters as the reviewer reads them."""
    return [
        ParameterRow(
            name=item["name"],
            type={"int": "whole number", "float": "number", "str": "text", "bool": "yes or no"}[item["type"]],
            default=value_text(item["default"]),
            allowed=_allowed(item),
            description=item.get("description") or "",
            unit=item.get("unit") or "",
        )
        for item in parameters
    ]


def _allowed(item: dict[str, Any]) -> str:
    if item.get("choices"):
        return ", ".join(value_text(choice) for choice in item["choices"])
    low, high = item.get("min"), item.get("max")
    if low is not None and high is not None:
        return f"{value_text(low)} to {value_text(high)}"
    if low is not None:
        return f"{value_text(low)} or more"
    return f"{value_text(high)} or less" if high is not None else "any"


def output_rows(declaration: Mapping[str, Any]) -> list[OutputRow]:
    """What the script declares to leave a site; nothing else is taken from its answers."""
    rows = [OutputRow("train", "arrays", "by the run's strategy")]
    if declaration.get("initial"):
        rows.insert(0, OutputRow(declaration["initial"], "arrays: the initial model", "of one site, as it is"))
    if declaration.get("sums"):
        rows.insert(1, OutputRow(declaration["sums"], "arrays: sums over its rows", "added up, sent to all sites"))
    metrics = declaration.get("metrics") or {}
    rows += [
        OutputRow("train, evaluate", f"metric “{name}”", COMBINED.get(kind, kind)) for name, kind in metrics.items()
    ]
    if not metrics:
        rows.append(OutputRow("train, evaluate", "any metrics: none is declared by name", COMBINED["mean"]))
    return [*rows, OutputRow("train, evaluate", "num-examples: the number of rows used", "added up")]


COMBINED = {
    "mean": "mean, weighted by rows",
    "sum": "added up",
    "histogram": "histograms, added up",
    "max": "the largest",
    "min": "the smallest",
}


def approval_rows(picture: Picture, version: ScriptVersion, sites: set[Any]) -> list[ApprovalRow]:
    """One row for each site that takes part or ever signed: the reader's own sites first, those that left last."""
    signed = {item.site_id for item in picture.approvals if item.version_id == version.pk}
    asked = [item for item in picture.enrolments if item in picture.taking_part or item.site_id in signed]
    rows = [approval_row(picture, version, item, item.site_id in sites) for item in asked]
    return sorted(rows, key=lambda row: (bool(row.left), not row.is_yours))


def approval_row(picture: Picture, version: ScriptVersion, enrolment: Enrolment, is_yours: bool) -> ApprovalRow:
    """A site's newest word on the version."""
    approval = picture.approval_of(version, enrolment)
    dataset, node = picture.dataset_of(enrolment), picture.node_of(enrolment)
    return ApprovalRow(
        site=enrolment.site.name,
        decision=decision_of(approval),
        approver=approval.approver_name if approval else "",
        signed_at=approval.signed_at if approval else None,
        not_after=approval.not_after if approval else None,
        statement_id=approval.statement_id if approval else "",
        limits=_limits(approval.statement) if approval else "",
        revoked_at=approval.revoked_at if approval else None,
        reason=approval.revoked_reason if approval else "",
        left="" if enrolment.state in TAKING_PART else enrolment.state,
        command=f"fedstudy-node approve {version.pk} --dataset {quote(dataset.name) if dataset else 'DATASET'}",
        page=f"{node.page_url}/review/{version.pk}" if node and node.page_url else "",
        is_yours=is_yours,
    )


def _limits(statement: dict[str, Any]) -> str:
    """The signed limits in one line."""
    privacy, limits = statement.get("privacy", {}), statement.get("limits", {})
    parts = [
        f"at most {_counted(statement['rounds'], 'round')} a run" if "rounds" in statement else "",
        f"at least {_counted(privacy['min_sites'], 'site')}" if "min_sites" in privacy else "",
        f"{limits['wall_s']} s a message" if "wall_s" in limits else "",
        f"{limits['memory_mb']} MB memory" if "memory_mb" in limits else "",
        f"sandbox {statement['sandbox_min']} or stronger" if "sandbox_min" in statement else "",
    ]
    return ", ".join(part for part in parts if part)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
