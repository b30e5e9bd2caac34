"""The script page: parameters, what leaves a site, and each site's word."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from fedstudy_core.statement import SANDBOX_WORDS
from portal.web.formats import value_text
from portal.web.presenters.facts import in_words
from portal.web.presenters.picture import Picture, decision_of
from portal.web.presenters.signatures import under
from studies.enrolment.models import Enrolment
from studies.enrolment.states import TAKING_PART
from studies.scripts.models import ScriptVersion
from studies.scripts.signatures import Signature

TYPES = {
    "int": gettext_noop("whole number"),
    "float": gettext_noop("number"),
    "str": gettext_noop("text"),
    "bool": gettext_noop("yes or no"),
}
COMBINED = {
    "mean": gettext_noop("mean, weighted by rows"),
    "sum": gettext_noop("added up"),
    "histogram": gettext_noop("histograms, added up"),
    "max": gettext_noop("the largest"),
    "min": gettext_noop("the smallest"),
    "replicates": gettext_noop("bootstrap replicates, each site's own"),
    "identity": gettext_noop("which test rows the replicates are of"),
}


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
    signatures: list[Signature]
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
            type=_type_name(item["type"]),
            default=value_text(item["default"]),
            allowed=_allowed(item),
            description=item.get("description") or "",
            unit=item.get("unit") or "",
        )
        for item in parameters
    ]


def _type_name(kind: str) -> str:
    return _(TYPES[kind])


def _allowed(item: dict[str, Any]) -> str:
    if item.get("choices"):
        return ", ".join(value_text(choice) for choice in item["choices"])
    low, high = item.get("min"), item.get("max")
    if low is not None and high is not None:
        return _("{low} to {high}").format(low=value_text(low), high=value_text(high))
    if low is not None:
        return _("{low} or more").format(low=value_text(low))
    return _("{high} or less").format(high=value_text(high)) if high is not None else _("any")


def output_rows(declaration: Mapping[str, Any]) -> list[OutputRow]:
    """What the script declares to leave a site; nothing else is taken from its answers."""
    rows = [OutputRow("train", _("arrays"), _("by the run's strategy"))]
    if declaration.get("initial"):
        rows.insert(0, OutputRow(declaration["initial"], _("arrays: the initial model"), _("of one site, as it is")))
    if declaration.get("sums"):
        words = _("arrays: sums over its rows"), _("added up, sent to all sites")
        rows.insert(1, OutputRow(declaration["sums"], *words))
    metrics = declaration.get("metrics") or {}
    rows += [
        OutputRow("train, evaluate", _("metric “{name}”").format(name=name), _combined(kind))
        for name, kind in metrics.items()
    ]
    if not metrics:
        rows.append(OutputRow("train, evaluate", _("any metrics: none is declared by name"), _combined("mean")))
    return [*rows, OutputRow("train, evaluate", _("num-examples: the number of rows used"), _combined("sum"))]


def _combined(kind: str) -> str:
    return _(COMBINED[kind]) if kind in COMBINED else kind


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
        signatures=under(approval),
        not_after=approval.not_after if approval else None,
        statement_id=approval.statement_id if approval else "",
        limits=_limits(approval.statement) if approval else "",
        revoked_at=approval.revoked_at if approval else None,
        reason=in_words("reason", approval.revoked_reason) if approval else "",
        left="" if enrolment.state in TAKING_PART else enrolment.state,
        command=f"fedstudy-node approve {version.pk} --dataset {quote(dataset.name) if dataset else 'DATASET'}",
        page=f"{node.page_url}/review/{version.pk}" if node and node.page_url else "",
        is_yours=is_yours,
    )


def _limits(statement: dict[str, Any]) -> str:
    """The signed limits in one line."""
    privacy, limits = statement.get("privacy", {}), statement.get("limits", {})
    parts = [
        _most_rounds(statement["rounds"]) if "rounds" in statement else "",
        _least_sites(privacy["min_sites"]) if "min_sites" in privacy else "",
        _("{seconds} s a message").format(seconds=limits["wall_s"]) if "wall_s" in limits else "",
        _("{size} MB memory").format(size=limits["memory_mb"]) if "memory_mb" in limits else "",
        _least_sandbox(statement["sandbox_min"]) if "sandbox_min" in statement else "",
    ]
    return ", ".join(part for part in parts if part)


def _least_sandbox(level: str) -> str:
    told = _("sandbox {name} or stronger").format(name=level)
    return f"{told} ({_(SANDBOX_WORDS[level])})" if level in SANDBOX_WORDS else told


def _most_rounds(number: int) -> str:
    return ngettext("at most {number} round a run", "at most {number} rounds a run", number).format(number=number)


def _least_sites(number: int) -> str:
    return ngettext("at least {number} site", "at least {number} sites", number).format(number=number)
